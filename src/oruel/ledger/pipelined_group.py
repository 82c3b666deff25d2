"""Writes a group to PostgreSQL in one transaction of one or two round trips, on the event loop.

The entries of a group are parameters of one statement, as JSON, so that a large group takes no more statements than a
small one. Rarer work, such as that of an Idempotency-Key, is left to group.py.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import NamedTuple

import msgspec
import structlog

from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.kept_connection import StoreBusy
from oruel.ledger.limits import AccountState
from oruel.ledger.opening import decide_in, open_row
from oruel.ledger.pipeline import Pipeline, Row
from oruel.ledger.settling import parameters
from oruel.ledger.states import States, changed_dues, key_state

encode = msgspec.json.Encoder().encode
log = structlog.get_logger("oruel.ledger")

STATEMENTS = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in resources.files("oruel.ledger").joinpath("pipelined").iterdir()
}
# The plans are made once, perhaps while the tables are empty, and have to be good when they are large.
SETTINGS = (
    *("SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off", "SET enable_hashjoin = off"),
    *("SET enable_mergejoin = off", "SET jit = off"),
)
# How long to wait after a connection that failed.
PAUSE_SECONDS = 1.0


class KeyRow(NamedTuple):
    """A key with its account, and what their requests reserve and have spent: a row of states.sql."""

    id: str
    account: str
    balance: int | None
    revoked: int | None
    expires: int | None
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
    now: int


class PipelinedWriter:
    """`instance` is the id of this process in the store. One task uses it. It connects in a thread, so that the first
    group, and those after a failure, raise StoreBusy.
    """

    def __init__(self, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance
        self._pipeline: Pipeline | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._paused_until = 0.0

    async def write(self, openings: Sequence[Opening], settlements: Sequence[Settlement]) -> list[Opened]:
        """The outcome of each opening. Raises StoreUnavailable; and StoreBusy if a GroupWriter has to write the group,
        of which the settlements may be written then.
        """
        if self._pipeline is None:
            self._connect_soon()
            raise StoreBusy
        if any(map(is_rare, openings)) or any(not one.opening.reserves or is_rare(one.opening) for one in settlements):
            raise StoreBusy
        try:
            with self._database.translated_errors:
                return await self._write(self._pipeline, openings, settlements)
        except BaseException:
            self._disconnect()
            raise

    async def connect(self) -> None:
        """Unless it is connected. If this fails, the next group tries again after PAUSE_SECONDS."""
        try:
            self._pipeline = self._pipeline or await asyncio.to_thread(open_pipeline, self._database)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread can go on
            log.warning("the store is written to by a thread, which is slower", error=type(error).__name__)
            self._paused_until = time.monotonic() + PAUSE_SECONDS
        finally:
            self._connecting = None

    async def close(self) -> None:
        if self._connecting:
            await asyncio.wait([self._connecting])
        self._disconnect()

    async def _write(
        self, pipeline: Pipeline, openings: Sequence[Opening], settlements: Sequence[Settlement]
    ) -> list[Opened]:
        """Settlements come first: they release what the openings may need."""
        keys = sorted({entry.key for entry in (*openings, *(one.opening for one in settlements)) if entry.key})
        pipeline.send("lock", encode(keys))
        if settlements:
            pipeline.send("settle", encode([parameters(one) for one in settlements]))
        if not openings:
            require_all(settlements, await pipeline.commit())
            return []
        pipeline.send("states", encode(keys))
        received = await pipeline.fetch()
        require_all(settlements, received)
        states = read_states(received["states"])
        outcomes = [decide_in(states, opening) for opening in openings]
        rows = [
            open_row(opening, self._instance)
            for opening, outcome in zip(openings, outcomes, strict=True)
            if outcome.is_started
        ]
        pipeline.send("open", encode(rows), encode(changed_dues(states, keys)))
        await pipeline.commit()
        return outcomes

    def _connect_soon(self) -> None:
        if self._connecting is None and time.monotonic() > self._paused_until:
            self._connecting = asyncio.ensure_future(self.connect())

    def _disconnect(self) -> None:
        if self._pipeline:
            self._pipeline.close()
        self._pipeline = None


def open_pipeline(database: Database) -> Pipeline:
    """Raises StoreUnavailable."""
    with database.translated_errors:
        connection = database.connect_driver()
        try:
            for setting in SETTINGS:
                connection.execute(setting)
            return Pipeline(connection, STATEMENTS)
        except BaseException:
            connection.close()
            raise


def is_rare(opening: Opening) -> bool:
    return bool(opening.idempotency_key) or opening.replaces


def require_all(settlements: Sequence[Settlement], received: Mapping[str, list[Row]]) -> None:
    """Raises StoreBusy if some entries were not open, or reserved something else than their settlements say."""
    if settlements and int(received["settle"][0][0] or 0) != len(settlements):
        raise StoreBusy


def key_row(row: Row) -> KeyRow:
    texts = (None if value is None else value.decode() for value in row)
    return msgspec.convert(list(texts), KeyRow, strict=False)


def read_states(rows: Iterable[Row]) -> States:
    """Without a row, all openings are without a key, and no decision depends on the time."""
    states = States()
    for row in rows:
        key = key_row(row)
        states.now = key.now
        states.accounts.setdefault(key.account, AccountState(key.balance, key.account_reserved))
        state = states.keys[key.id] = key_state(key)
        state.day_spent, state.month_spent = key.day_spent, key.month_spent
        state.reserved, state.running = key.reserved, key.running
        states.dues[key.id] = (key.requests_due, key.tokens_due)
    return states
