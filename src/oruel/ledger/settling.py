"""Settles entries: records what a request used, charges its price, and releases what it had reserved."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec import structs
from sqlalchemy import ClauseElement, Connection, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from oruel.ledger.database import Database
from oruel.ledger.entries import Settlement
from oruel.ledger.idempotency import keep_answers
from oruel.ledger.limits import release, spend
from oruel.ledger.opening import open_row
from oruel.ledger.statement import Statement
from oruel.ledger.states import States
from oruel.ledger.tables import accounts, requests, spending

# Named as the fields of a Settlement.
OWN_COLUMNS = (
    *("status", "finish", "error", "deployment", "prompt_tokens", "cached_tokens", "completion_tokens", "estimated"),
    *("price", "cost", "queued_ms", "first_token_ms", "total_ms"),
)
own_values = attrgetter(*OWN_COLUMNS)
SETTLED_COLUMNS = (*OWN_COLUMNS, "reserved", "reserved_tokens")
SETTLED = update(requests).where(requests.c.id == bindparam("id_")).values({n: bindparam(n) for n in SETTLED_COLUMNS})
SETTLE = Statement(SETTLED)
SETTLE_OPEN = Statement(
    SETTLED.where(
        requests.c.status.is_(None),
        requests.c.reserved == bindparam("price_reserved"),
        requests.c.reserved_tokens == bindparam("tokens_reserved"),
    )
)
RECORDED = select(requests.c.status, requests.c.reserved, requests.c.reserved_tokens)
LOWER_BALANCE = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("id_"), accounts.c.balance.is_not(None))
    .values(balance=accounts.c.balance - bindparam("price_"))
)


def adding_to_spending(statement: sqlite.Insert | postgresql.Insert) -> ClauseElement:
    """Both databases have this statement, each with a constructor of its own in SQLAlchemy."""
    row: dict[str, Any] = {name: bindparam(name) for name in ("key", "period", "spent")}
    total = {"spent": spending.c.spent + statement.excluded.spent}
    return statement.values(row).on_conflict_do_update(index_elements=["key", "period"], set_=total)


RAISE_SPENDING = {
    "sqlite": Statement(adding_to_spending(sqlite.insert(spending))),
    "postgresql": Statement(adding_to_spending(postgresql.insert(spending))),
}


class NotAllOpen(Exception):
    """Some entries of a group are not open, or reserve something else than their settlements say, so that the group has
    to be settled one by one.
    """


def settle_open(connection: Connection, states: States, settlements: Sequence[Settlement]) -> None:
    """Raises NotAllOpen, and then the transaction has to be rolled back."""
    if SETTLE_OPEN.run(connection, [parameters(one) for one in settlements]) != len(settlements):
        raise NotAllOpen
    for one in settlements:
        release(one.opening, one.price, one.tokens, *states.of(one.opening))
    charge(connection, states, settlements)
    keep_answers(connection, settlements)


def settle_each(connection: Connection, states: States, settlements: Iterable[Settlement], instance: str) -> None:
    """Settles every entry once: repeating a settlement changes nothing. Records entries that were never opened."""
    for one in settlements:
        if settle(connection, states, one, instance):
            charge(connection, states, [one])
            keep_answers(connection, [one])


def settle(connection: Connection, states: States, settlement: Settlement, instance: str) -> bool:
    """False if the entry is settled already. One that was taken for crashed while its process was only stopped is
    settled once the process goes on.
    """
    own = RECORDED.where(requests.c.id == settlement.opening.id)
    recorded = connection.execute(Database.locking(own)).one_or_none()
    if recorded is None:
        connection.execute(insert(requests), [{**open_row(settlement.opening, instance), **settled_values(settlement)}])
    elif recorded.status in (None, "crashed"):
        SETTLE.run(connection, [parameters(settlement)])
    else:
        return False
    key, account = states.of(settlement.opening)
    if recorded is not None and recorded.status is None:
        opening = structs.replace(settlement.opening, price=recorded.reserved, tokens=recorded.reserved_tokens)
        release(opening, settlement.price, settlement.tokens, key, account)
    else:
        spend(settlement.price, key, account)
    return True


def charge(connection: Connection, states: States, settlements: Iterable[Settlement]) -> None:
    by_account: dict[str, int] = defaultdict(int)
    by_period: dict[tuple[str, str], int] = defaultdict(int)
    for one in settlements:
        if one.price and one.opening.key:
            by_account[one.opening.account] += one.price
            by_period[one.opening.key, states.day] += one.price
            by_period[one.opening.key, states.month] += one.price
    if by_account:
        lowered = [{"id_": account, "price_": price} for account, price in sorted(by_account.items())]
        LOWER_BALANCE.run(connection, lowered)
        rows = [{"key": key, "period": period, "spent": spent} for (key, period), spent in sorted(by_period.items())]
        RAISE_SPENDING[connection.dialect.name].run(connection, rows)


def parameters(settlement: Settlement) -> Mapping[str, Any]:
    opening = settlement.opening
    reserved = {"price_reserved": opening.price, "tokens_reserved": opening.tokens}
    return {"id_": opening.id, **reserved, **settled_values(settlement)}


def settled_values(settlement: Settlement) -> dict[str, Any]:
    return {**dict(zip(OWN_COLUMNS, own_values(settlement), strict=True)), "reserved": 0, "reserved_tokens": 0}
