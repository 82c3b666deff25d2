"""Opens entries: decides which requests may start, and reserves their prices."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from oruel.ledger.entries import Opened, Opening
from oruel.ledger.idempotency import EarlierRequest, earlier_requests, forget, owner_of, remember
from oruel.ledger.limits import day_of, decide, uncount
from oruel.ledger.statement import Statement
from oruel.ledger.states import States
from oruel.ledger.tables import requests

OPEN_COLUMNS = (
    *("id", "request_id", "instance", "account", "key", "model", "tier", "created", "day", "reserved"),
    *("reserved_tokens", "prompt_tokens", "cached_tokens", "completion_tokens", "estimated", "price", "cost"),
)
INSERT_OPEN = Statement(insert(requests).values({name: bindparam(name) for name in OPEN_COLUMNS}))


def open_entries(connection: Connection, states: States, openings: Sequence[Opening], instance: str) -> list[Opened]:
    """The outcome of each opening, in order. Openings of one key or account count one another."""
    earlier = earlier_requests(connection, openings, states.now)
    outcomes, started = [], []
    for opening in openings:
        known = earlier.get(owner_of(opening)) if opening.idempotency_key else None
        outcome = known.outcome_of(opening) if known else decide_in(states, opening)
        if outcome.is_started:
            earlier[owner_of(opening)] = EarlierRequest(opening.fingerprint)
            started.append(opening)
        outcomes.append(outcome)
    if started:
        INSERT_OPEN.run(connection, [open_row(opening, instance) for opening in started])
        remember(connection, started, states.now)
    return outcomes


def decide_in(states: States, opening: Opening) -> Opened:
    return decide(opening, *states.of(opening), states.now * 1000)


def remove_open(connection: Connection, states: States, openings: Sequence[Opening]) -> None:
    """Removes the open entries of requests that are about to be opened again, so that none counts twice."""
    ids = [opening.id for opening in openings]
    is_open = and_(requests.c.id.in_(ids), requests.c.status.is_(None))
    reserved = {row.id: row for row in connection.execute(select(requests).where(is_open))}
    connection.execute(delete(requests).where(is_open))
    forget(connection, ids)
    for opening in openings:
        if row := reserved.get(opening.id):
            uncount(structs.replace(opening, price=row.reserved, tokens=row.reserved_tokens), *states.of(opening))


def open_row(opening: Opening, instance: str) -> Mapping[str, Any]:
    return {
        "id": opening.id,
        "request_id": opening.request_id,
        "instance": instance,
        "account": opening.account or None,
        "key": opening.key or None,
        "model": opening.model,
        "tier": opening.tier,
        "created": opening.created,
        "day": day_of(opening.created),
        "reserved": opening.price,
        "reserved_tokens": opening.tokens,
        "prompt_tokens": 0,
        "cached_tokens": 0,
        "completion_tokens": 0,
        "estimated": False,
        "price": 0,
        "cost": 0,
    }
