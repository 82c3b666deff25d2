"""Settles entries: records what a request used, charges its price, and releases what it had reserved."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from oruel.ledger.entries import Settlement
from oruel.ledger.idempotency import keep_answers
from oruel.ledger.opening import open_row
from oruel.ledger.states import LockedStates
from oruel.ledger.tables import accounts, requests, spending

# An entry that was taken for crashed while its process was only stopped is settled once the process goes on.
UNSETTLED = (None, "crashed")


def settle_entries(
    connection: Connection, states: LockedStates, settlements: Sequence[Settlement], instance: str
) -> None:
    """Settles each entry once: repeating a settlement changes nothing. Records entries that were never opened."""
    query = select(requests.c.id, requests.c.status, requests.c.reserved_tokens)
    rows = connection.execute(query.where(requests.c.id.in_([one.opening.id for one in settlements])))
    known = {row.id: row for row in rows}
    new = [one for one in settlements if one.opening.id not in known]
    due = [one for one in settlements if one.opening.id in known and known[one.opening.id].status in UNSETTLED]
    if new:
        connection.execute(insert(requests), [settled_row(one, instance) for one in new])
    if due:
        columns: dict[str, Any] = {name: bindparam(name) for name in settled_values(due[0])}
        statement = update(requests).where(requests.c.id == bindparam("id_")).values(columns)
        connection.execute(statement, [{"id_": one.opening.id, **settled_values(one)} for one in due])
    give_back_tokens(states, {one.opening.id: known[one.opening.id].reserved_tokens for one in due}, due)
    charge(connection, states, [*new, *due])
    keep_answers(connection, [*new, *due])


def settled_row(settlement: Settlement, instance: str) -> Mapping[str, Any]:
    return {**open_row(settlement.opening, instance), **settled_values(settlement)}


def settled_values(settlement: Settlement) -> dict[str, Any]:
    return {
        "status": settlement.status,
        "finish": settlement.finish,
        "error": settlement.error,
        "deployment": settlement.deployment,
        "reserved": 0,
        "reserved_tokens": 0,
        "prompt_tokens": settlement.prompt_tokens,
        "cached_tokens": settlement.cached_tokens,
        "completion_tokens": settlement.completion_tokens,
        "estimated": settlement.estimated,
        "price": settlement.price,
        "cost": settlement.cost,
        "queued_ms": settlement.queued_ms,
        "first_token_ms": settlement.first_token_ms,
        "total_ms": settlement.total_ms,
    }


def give_back_tokens(states: LockedStates, reserved: Mapping[str, int], settlements: Iterable[Settlement]) -> None:
    """Returns the tokens that were reserved but not used to the limits per minute."""
    for one in settlements:
        key = states.keys.get(one.opening.key)
        unused = reserved[one.opening.id] - one.prompt_tokens - one.completion_tokens
        if key and key.tokens and unused > 0:
            key.tokens = key.tokens.give_back(unused)


def charge(connection: Connection, states: LockedStates, settlements: Iterable[Settlement]) -> None:
    by_account: Counter[str] = Counter()
    by_period: Counter[tuple[str, str]] = Counter()
    for one in settlements:
        if one.price and one.opening.key:
            by_account[one.opening.account] += one.price
            by_period[one.opening.key, states.day] += one.price
            by_period[one.opening.key, states.month] += one.price
    if not by_account:
        return
    lowered = update(accounts).where(accounts.c.id == bindparam("id_"), accounts.c.balance.is_not(None))
    connection.execute(
        lowered.values(balance=accounts.c.balance - bindparam("price_")),
        [{"id_": account, "price_": price} for account, price in sorted(by_account.items())],
    )
    for account, price in by_account.items():
        state = states.accounts[account]
        if state.balance is not None:
            state.balance -= price
    rows = [{"key": key, "period": period, "spent": spent} for (key, period), spent in sorted(by_period.items())]
    connection.execute(adding_to_spending(connection.dialect.name), rows)


def adding_to_spending(dialect: str) -> Executable:
    """Both databases have this statement, each with a constructor of its own in SQLAlchemy."""
    statement = sqlite.insert(spending) if dialect == "sqlite" else postgresql.insert(spending)
    total = {"spent": spending.c.spent + statement.excluded.spent}
    return statement.on_conflict_do_update(index_elements=["key", "period"], set_=total)
