"""How this process writes groups to its store: patiently, from a thread of its own, or on the event loop.

Where a commit waits for neither a disk nor a server, as with SQLite's write-ahead log, it takes less time than waking a
thread, which would also compete with the event loop for Python's interpreter lock at each statement. PostgreSQL gets
the statements of a group together, while the event loop goes on.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oruel.errors import StoreUnavailable
from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.group import GroupWriter
from oruel.ledger.instances import Instance
from oruel.ledger.kept_connection import StoreBusy

if TYPE_CHECKING:
    from oruel.ledger.pipelined_group import PipelinedWriter

# A write that takes longer shows that the store is slow now, so that the thread writes for a while.
SLOW_SECONDS = 0.05
PAUSE_SECONDS = 1.0
# Checkpoints wait for the disk, so that the thread makes them. A small group takes some six pages of 1 KiB in the log.
GROUPS_PER_CHECKPOINT = 800


class StoreWriter:
    """`instance` is registered in the store."""

    def __init__(self, database: Database, instance: Instance) -> None:
        self._instance = instance
        self._patient = GroupWriter(database, instance.id)
        self._quick = GroupWriter(database, instance.id, waits=False) if database.is_quick else None
        self._pipelined = pipelined_writer(database, instance.id) if database.has_pipeline else None
        self._groups = 0
        self._paused_until = 0.0

    def write(
        self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool = False
    ) -> list[Opened]:
        """For one thread. Raises StoreUnavailable."""
        if openings:
            self._instance.renew_if_due()
        outcomes = self._patient.write(openings, settlements, again=again)
        if self._groups >= GROUPS_PER_CHECKPOINT:
            self._patient.checkpoint()
            self._groups = 0
        return outcomes

    async def write_soon(self, openings: Sequence[Opening], settlements: Sequence[Settlement]) -> list[Opened]:
        """For one task. Raises StoreBusy if `write` should write the group instead, and StoreUnavailable."""
        if self._pipelined is None or (openings and not self._instance.is_on_time):
            raise StoreBusy
        return await self._pipelined.write(openings, settlements)

    async def close(self) -> None:
        if self._pipelined:
            await self._pipelined.close()

    def write_at_once(self, openings: Sequence[Opening], settlements: Sequence[Settlement]) -> list[Opened]:
        """For the event loop. Raises StoreBusy if `write` should write the group instead, and StoreUnavailable."""
        start = time.monotonic()
        is_late = bool(openings) and not self._instance.is_on_time
        if self._quick is None or self._groups >= GROUPS_PER_CHECKPOINT or start < self._paused_until or is_late:
            raise StoreBusy
        self._groups += 1
        try:
            outcomes = self._quick.write(openings, settlements)
        except StoreUnavailable:
            self._paused_until = start + PAUSE_SECONDS
            raise
        if time.monotonic() - start > SLOW_SECONDS:
            self._paused_until = start + PAUSE_SECONDS
        return outcomes


def pipelined_writer(database: Database, instance: str) -> "PipelinedWriter":
    """Imports PostgreSQL's driver, which is not installed everywhere."""
    from oruel.ledger.pipelined_group import PipelinedWriter

    return PipelinedWriter(database, instance)
