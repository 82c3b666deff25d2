"""Writes a group to PostgreSQL in one transaction of one round trip, on the event loop, or in two transactions where
this process doesn't know yet what another has changed.

The entries of a group are parameters of one statement, as JSON, so that a large group takes no more statements than a
small one. Rarer work, such as that of an Idempotency-Key, is left to group.py.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from importlib import resources

import msgspec
import structlog
from psycopg.errors import DivisionByZero

from oruel.errors import StoreUnavailable
from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.expectation import Decision, Expectation
from oruel.ledger.kept_connection import StoreBusy
from oruel.ledger.opening import open_row
from oruel.ledger.pipeline import Pipeline
from oruel.ledger.settling import parameters

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
NOTHING = encode([])
# How long to wait after a connection that failed.
PAUSE_SECONDS = 1.0
# For how long others are expected to go on changing what they have changed.
SHARED_SECONDS = 1.0


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
        self._expectation = Expectation()
        self._shared_until = 0.0

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
        except DivisionByZero:
            # Some entries were not open, or reserved something else than their settlements say.
            self._disconnect()
            raise StoreBusy from None
        except BaseException:
            self._disconnect()
            raise

    async def connect(self) -> None:
        """Unless it is connected. If the store is unavailable, the next group tries again after PAUSE_SECONDS."""
        try:
            self._pipeline = self._pipeline or await asyncio.to_thread(open_pipeline, self._database)
        except StoreUnavailable:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread can go on
            log.warning("PostgreSQL is written to by a thread, which is slower", error=repr(error))
            self._paused_until = math.inf
        finally:
            self._connecting = None

    async def close(self) -> None:
        if self._connecting:
            await asyncio.wait([self._connecting])
        self._disconnect()

    async def _write(
        self, pipeline: Pipeline, openings: Sequence[Opening], settlements: Sequence[Settlement]
    ) -> list[Opened]:
        keys = sorted({entry.key for entry in (*openings, *(one.opening for one in settlements)) if entry.key})
        self._send_settlements(pipeline, settlements, keys)
        if not openings:
            await pipeline.commit()
            return []
        if time.monotonic() < self._shared_until or not self._expectation.knows(keys):
            return await self._write_locked(pipeline, openings, keys)
        decision = self._send_openings(pipeline, openings, keys)
        if self._expectation.learn((await pipeline.commit())["open"]):
            return decision.outcomes
        self._shared_until = time.monotonic() + SHARED_SECONDS
        self._send_settlements(pipeline, [], keys)
        return await self._write_locked(pipeline, openings, keys)

    def _send_settlements(self, pipeline: Pipeline, settlements: Sequence[Settlement], keys: list[str]) -> None:
        """They come first, because they release what the openings may need."""
        pipeline.send("lock", encode(keys))
        if settlements:
            pipeline.send("settle", encode([parameters(one) for one in settlements]))
            self._expectation.settle(settlements)

    async def _write_locked(self, pipeline: Pipeline, openings: Sequence[Opening], keys: list[str]) -> list[Opened]:
        """Locks the keys, reads what the store holds, and decides."""
        pipeline.send("open", encode(keys), NOTHING, NOTHING, NOTHING, None)
        self._expectation.learn((await pipeline.fetch())["open"])
        decision = self._send_openings(pipeline, openings, keys, is_locked=True)
        if not self._expectation.learn((await pipeline.commit())["open"]):
            raise StoreBusy
        return decision.outcomes

    def _send_openings(
        self, pipeline: Pipeline, openings: Sequence[Opening], keys: list[str], *, is_locked: bool = False
    ) -> Decision:
        decision = self._expectation.decide(openings, keys)
        rows = [
            open_row(opening, self._instance)
            for opening, outcome in zip(openings, decision.outcomes, strict=True)
            if outcome.is_started
        ]
        now = None if is_locked else encode(decision.now)
        pipeline.send("open", encode(keys), encode(rows), encode(decision.dues), encode(decision.basis), now)
        return decision

    def _connect_soon(self) -> None:
        if self._connecting is None and time.monotonic() > self._paused_until:
            self._connecting = asyncio.ensure_future(self.connect())

    def _disconnect(self) -> None:
        if self._pipeline:
            self._pipeline.close()
        self._pipeline = None
        self._expectation = Expectation()


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
