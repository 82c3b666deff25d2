"""What this process expects PostgreSQL to hold, so that it decides before it asks, and asks in one round trip."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.limits import AccountState, Bucket, KeyState, release
from oruel.ledger.opening import decide_in
from oruel.ledger.pipeline import Row
from oruel.ledger.states import States, changed_dues, note_dues


class StoredKey(NamedTuple):
    """A key with its account, and what their requests reserve and have spent, as in open.sql."""

    id: str
    account: str
    balance: int | None
    invalid_from: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    day_limit: int | None
    month_limit: int | None
    requests_due: int
    tokens_due: int
    day_spent: int
    month_spent: int
    reserved: int
    running: int
    account_reserved: int


class Decision(NamedTuple):
    """The outcomes of openings, what the buckets of their keys are then, and what all that is based on."""

    outcomes: list[Opened]
    dues: list[dict[str, Any]]
    basis: list[dict[str, Any]]
    now: int


class Expectation:
    """The states as this process has left them. Others may have changed them since, which the store finds out."""

    def __init__(self) -> None:
        self._states = States()
        self._accounts: dict[str, str] = {}
        """The account of each key."""
        self._read_at = 0.0

    def knows(self, keys: Iterable[str]) -> bool:
        return all(key in self._states.dues for key in keys)

    def settle(self, settlements: Iterable[Settlement]) -> None:
        """As settle.sql does."""
        for one in settlements:
            if one.opening.key in self._states.keys:
                release(one.opening, one.price, one.tokens, *self._states.of(one.opening))
                note_dues(self._states, changed_dues(self._states, [one.opening.key]))

    def decide(self, openings: Sequence[Opening], keys: Iterable[str]) -> Decision:
        """`keys` are those of the openings, and of settlements in the same transaction."""
        states = self._states
        basis = [self._basis(key) for key in keys if key in states.dues]
        now = states.now = self._now()
        outcomes = [decide_in(states, opening) for opening in openings]
        dues = changed_dues(states, keys)
        note_dues(states, dues)
        return Decision(outcomes, dues, basis, now)

    def learn(self, rows: Sequence[Row]) -> bool:
        """Whether a decision was based on what the store holds. If not, replaces what was expected. `rows` are those of
        open.sql.
        """
        is_right, now, *_ = rows[0]
        assert is_right
        assert now
        self._states.now, self._read_at = int(now), time.monotonic()
        if is_right == b"t":
            return True
        for row in rows:
            if row[2] is not None:
                self._replace(stored_key(row[2:]))
        return False

    def _now(self) -> int:
        """By the server's clock, in microseconds since the epoch."""
        now = time.monotonic()
        elapsed, self._read_at = now - self._read_at, now
        return self._states.now + int(elapsed * 1_000_000)

    def _replace(self, stored: StoredKey) -> None:
        states = self._states
        states.accounts[stored.account] = AccountState(stored.balance, stored.account_reserved)
        states.keys[stored.id] = key_state(stored)
        states.dues[stored.id] = (stored.requests_due, stored.tokens_due)
        self._accounts[stored.id] = stored.account

    def _basis(self, id: str) -> dict[str, Any]:
        account, key = self._accounts[id], self._states.keys[id]
        state, (requests_due, tokens_due) = self._states.accounts[account], self._states.dues[id]
        return {
            "id": id,
            "account": account,
            "balance": state.balance,
            "invalid_from": key.invalid_from,
            "requests_per_minute": key.requests and key.requests.limit,
            "tokens_per_minute": key.tokens and key.tokens.limit,
            "concurrent_requests": key.concurrent,
            "day_limit": key.day_limit,
            "month_limit": key.month_limit,
            "requests_due": requests_due,
            "tokens_due": tokens_due,
            "day_spent": key.day_spent,
            "month_spent": key.month_spent,
            "reserved": key.reserved,
            "running": key.running,
            "account_reserved": state.reserved,
        }


def stored_key(row: Row) -> StoredKey:
    texts = (None if value is None else value.decode() for value in row)
    return msgspec.convert(list(texts), StoredKey, strict=False)


def key_state(stored: StoredKey) -> KeyState:
    return KeyState(
        invalid_from=stored.invalid_from,
        requests=Bucket(stored.requests_per_minute, stored.requests_due) if stored.requests_per_minute else None,
        tokens=Bucket(stored.tokens_per_minute, stored.tokens_due) if stored.tokens_per_minute else None,
        concurrent=stored.concurrent_requests,
        day_limit=stored.day_limit,
        month_limit=stored.month_limit,
        day_spent=stored.day_spent,
        month_spent=stored.month_spent,
        running=stored.running,
        reserved=stored.reserved,
    )
