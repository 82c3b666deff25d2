"""What the decisions of limits.py need: keys and accounts, locked, with what their requests reserve and have spent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from oruel.ledger.database import Database
from oruel.ledger.entries import Opening
from oruel.ledger.limits import AccountState, Bucket, KeyState, day_of
from oruel.ledger.statement import Statement
from oruel.ledger.tables import accounts, keys, requests, spending

LOCKED_KEYS = (
    select(keys, accounts.c.balance)
    .join(accounts, keys.c.account == accounts.c.id)
    .where(keys.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(accounts.c.id, keys.c.id)
)
OPEN_SUMS = (
    select(requests.c.account, requests.c.key, func.sum(requests.c.reserved), func.count())
    .where(requests.c.status.is_(None), requests.c.account.in_(bindparam("accounts", expanding=True)))
    .group_by(requests.c.account, requests.c.key)
)
SPENT = select(spending).where(
    spending.c.key.in_(bindparam("ids", expanding=True)), spending.c.period.in_((bindparam("day"), bindparam("month")))
)
WRITE_DUES = Statement(
    update(keys)
    .where(keys.c.id == bindparam("id_"))
    .values(requests_due=bindparam("requests_"), tokens_due=bindparam("tokens_"))
)

UNKNOWN_KEY = KeyState(invalid_from=0)

Dues = tuple[int, int]


@dataclass
class States:
    """By id. "" stands for requests without a key. `dues` are the keys' buckets in the store. `now` is in microseconds
    since the epoch.
    """

    now: int = 0
    keys: dict[str, KeyState] = field(default_factory=lambda: {"": KeyState()})
    accounts: dict[str, AccountState] = field(default_factory=lambda: {"": AccountState()})
    dues: dict[str, Dues] = field(default_factory=dict)

    def of(self, opening: Opening) -> tuple[KeyState, AccountState]:
        """The states of its key and account; a key that isn't in the store is not valid."""
        return self.keys.get(opening.key, UNKNOWN_KEY), self.accounts.get(opening.account, AccountState())

    @property
    def day(self) -> str:
        return day_of(self.now)

    @property
    def month(self) -> str:
        return self.day[:7]


class StateReader:
    """Caches what it has read until another connection writes to the store, which SQLite can tell. `read` is called
    once in each transaction of one connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = States()
        self._version: int | None = None

    def read(self, connection: Connection, ids: Iterable[str], *, to_decide: bool) -> States:
        """The states of the keys with these ids and of their accounts; unknown keys are absent. On PostgreSQL, their
        rows are locked until the transaction ends, and only `to_decide` reads what is reserved and spent.
        """
        now, version = self._database.now(connection), self._database.version(connection)
        is_kept = version is not None
        if not is_kept or version != self._version or day_of(now) != self._kept.day:
            self._kept = States()
        self._version = version
        self._kept.now = now
        wanted = set(ids) - self._kept.keys.keys()
        if wanted:
            read_states(connection, self._database, sorted(wanted), self._kept, with_sums=to_decide or is_kept)
        return self._kept

    def forget(self) -> None:
        """After a transaction that failed."""
        self._version = None


def read_states(connection: Connection, database: Database, ids: list[str], states: States, *, with_sums: bool) -> None:
    """Locks the rows in order of account and key, so that two processes can't wait for each other. The sums are read by
    statements of their own, because PostgreSQL would otherwise read them as of before the lock.
    """
    found = connection.execute(database.locking(LOCKED_KEYS), {"ids": ids}).all()
    if not found:
        return
    for row in found:
        states.keys[row.id] = key_state(row)
        states.dues[row.id] = (row.requests_due, row.tokens_due)
    new = {row.account: row.balance for row in found if row.account not in states.accounts}
    states.accounts |= {account: AccountState(balance) for account, balance in new.items()}
    if not with_sums:
        return
    sums = connection.execute(OPEN_SUMS, {"accounts": sorted({row.account for row in found})})
    for account, key, reserved, running in sums:
        if account in new:
            states.accounts[account].reserved += int(reserved)
        if key in ids:
            states.keys[key].reserved, states.keys[key].running = int(reserved), running
    for row in connection.execute(SPENT, {"ids": ids, "day": states.day, "month": states.month}):
        if row.period == states.day:
            states.keys[row.key].day_spent = row.spent
        else:
            states.keys[row.key].month_spent = row.spent


def key_state(row: Any) -> KeyState:
    """`row` has the columns of a key."""
    return KeyState(
        invalid_from=min((moment for moment in (row.revoked, row.expires) if moment is not None), default=None),
        requests=Bucket(row.requests_per_minute, row.requests_due) if row.requests_per_minute else None,
        tokens=Bucket(row.tokens_per_minute, row.tokens_due) if row.tokens_per_minute else None,
        concurrent=row.concurrent_requests,
        day_limit=row.day_limit,
        month_limit=row.month_limit,
    )


def write_dues(connection: Connection, states: States, ids: Iterable[str]) -> None:
    """Writes the buckets of these keys that have changed."""
    rows = changed_dues(states, ids)
    if rows:
        WRITE_DUES.run(connection, rows)
        note_dues(states, rows)


def note_dues(states: States, rows: Iterable[Mapping[str, Any]]) -> None:
    """`rows` of changed_dues are in the store now."""
    for row in rows:
        states.dues[row["id_"]] = (row["requests_"], row["tokens_"])


def changed_dues(states: States, ids: Iterable[str]) -> list[dict[str, Any]]:
    """The buckets of these keys that have changed, as parameters of WRITE_DUES."""
    known = sorted(states.dues.keys() & set(ids))
    now = {id: current_dues(states.keys[id], states.dues[id]) for id in known}
    return [{"id_": id, "requests_": due[0], "tokens_": due[1]} for id, due in now.items() if due != states.dues[id]]


def current_dues(key: KeyState, before: Dues) -> Dues:
    return (key.requests.due if key.requests else before[0], key.tokens.due if key.tokens else before[1])
