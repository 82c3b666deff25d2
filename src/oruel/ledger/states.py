"""Reads and locks what the decisions of limits.py need: keys, accounts, and what their open requests reserve."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from oruel.ledger.database import Database
from oruel.ledger.entries import Opening, Settlement
from oruel.ledger.limits import AccountState, Bucket, KeyState, day_of
from oruel.ledger.tables import accounts, keys, requests, spending


@dataclass
class LockedStates:
    """The states of all keys and accounts in one transaction, by id. "" stands for requests without a key. `now` is in
    microseconds since the epoch.
    """

    now: int
    keys: dict[str, KeyState] = field(default_factory=lambda: {"": KeyState()})
    accounts: dict[str, AccountState] = field(default_factory=lambda: {"": AccountState()})
    dues: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def day(self) -> str:
        return day_of(self.now)

    @property
    def month(self) -> str:
        return self.day[:7]


def lock_states(
    connection: Connection, database: Database, openings: Iterable[Opening], settlements: Iterable[Settlement]
) -> LockedStates:
    """Locks the rows in order of id, so that two processes can't wait for each other. `read_sums` is a statement of its
    own, because PostgreSQL would otherwise read the sums as of before the lock.
    """
    states = LockedStates(database.now(connection))
    wanted = {opening.key for opening in (*openings, *(one.opening for one in settlements))} - {""}
    if not wanted:
        return states
    query = (
        select(keys, accounts.c.balance)
        .join(accounts, keys.c.account == accounts.c.id)
        .where(keys.c.id.in_(wanted))
        .order_by(accounts.c.id, keys.c.id)
    )
    for row in connection.execute(database.locking(query)):
        states.keys[row.id] = key_state(row, states.now)
        states.accounts[row.account] = AccountState(row.balance)
        states.dues[row.id] = (row.requests_due, row.tokens_due)
    return states


def key_state(row: Row[Any], now: int) -> KeyState:
    return KeyState(
        is_valid=row.revoked is None and (row.expires is None or row.expires > now),
        requests=Bucket(row.requests_per_minute, row.requests_due) if row.requests_per_minute else None,
        tokens=Bucket(row.tokens_per_minute, row.tokens_due) if row.tokens_per_minute else None,
        concurrent=row.concurrent_requests,
        day_limit=row.day_limit,
        month_limit=row.month_limit,
    )


def read_sums(connection: Connection, states: LockedStates) -> None:
    """Of open requests by account and key, and of the spending of this day and month."""
    if not states.dues:
        return
    open_sums = (
        select(requests.c.account, requests.c.key, func.sum(requests.c.reserved), func.count())
        .where(requests.c.status.is_(None), requests.c.account.in_(states.accounts))
        .group_by(requests.c.account, requests.c.key)
    )
    for account, key, reserved, running in connection.execute(open_sums):
        states.accounts[account].reserved += int(reserved)
        if key in states.keys:
            states.keys[key].reserved, states.keys[key].running = int(reserved), running
    spent = select(spending).where(spending.c.key.in_(states.keys), spending.c.period.in_((states.day, states.month)))
    for row in connection.execute(spent):
        if row.period == states.day:
            states.keys[row.key].day_spent = row.spent
        else:
            states.keys[row.key].month_spent = row.spent


def write_dues(connection: Connection, states: LockedStates) -> None:
    """Writes the buckets that have changed."""
    changed = [
        {"id_": id, "requests_": dues[0], "tokens_": dues[1]}
        for id, before in states.dues.items()
        if (dues := current_dues(states.keys[id], before)) != before
    ]
    if changed:
        statement = (
            update(keys)
            .where(keys.c.id == bindparam("id_"))
            .values(requests_due=bindparam("requests_"), tokens_due=bindparam("tokens_"))
        )
        connection.execute(statement, changed)


def current_dues(key: KeyState, before: tuple[int, int]) -> tuple[int, int]:
    return (key.requests.due if key.requests else before[0], key.tokens.due if key.tokens else before[1])
