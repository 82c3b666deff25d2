"""Writes entries to the store, in groups of those that arrive together: on the event loop where that is quick, or in a
thread.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog

from oruel.errors import StoreUnavailable
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.kept_connection import StoreBusy

# How long a request waits for the store before it is refused, and a reply for its settlement.
OPENING_SECONDS = 5.0
SETTLING_SECONDS = 10.0
# How long to wait after a failure of the store, doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
# How long closing waits for settlements that the store doesn't accept.
CLOSING_SECONDS = 5.0
LARGEST_GROUP = 500

log = structlog.get_logger("oruel.ledger")

Work = TypeVar("Work", Opening, Settlement)
Result = TypeVar("Result")


class WriteGroup(Protocol):
    """Writes a group in one transaction (group.py). Raises StoreUnavailable, and may be tried `again`."""

    def __call__(
        self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool
    ) -> list[Opened]: ...


class WriteAtOnce(Protocol):
    """Writes a group on the event loop (store_writer.py). Raises StoreBusy if the thread should do it, and
    StoreUnavailable.
    """

    def __call__(self, openings: Sequence[Opening], settlements: Sequence[Settlement]) -> list[Opened]: ...


class WriteSoon(Protocol):
    """The same for a store that answers later; only one group is written at a time."""

    async def __call__(self, openings: Sequence[Opening], settlements: Sequence[Settlement]) -> list[Opened]: ...


@dataclass(eq=False)
class Job(Generic[Work, Result]):
    """`done`, `outcome` and `ending` belong to the event loop. An opening that was cancelled before it was taken is not
    written. `was_tried`: an earlier attempt to write it may have succeeded although it failed. `ending`: how to settle
    an opening whose request has given up waiting.
    """

    work: Work
    done: "asyncio.Future[Result]"
    was_tried: bool = False
    outcome: Result | None = None
    ending: Settlement | None = None


Group = tuple[list[Job[Opening, Opened]], list[Job[Settlement, None]]]


class Committer:
    """Writes with `write_at_once` or `write_soon`, if given, and what they don't accept with `write` in the thread."""

    def __init__(
        self, write: WriteGroup, write_at_once: WriteAtOnce | None = None, write_soon: WriteSoon | None = None
    ) -> None:
        self._write = write
        self._write_at_once = write_at_once
        self._write_soon = write_soon
        self._writing: asyncio.Task[None] | None = None
        self._new_openings: list[Job[Opening, Opened]] = []
        self._new_settlements: list[Job[Settlement, None]] = []
        self._loop = asyncio.get_running_loop()
        self._openings: list[Job[Opening, Opened]] = []
        self._settlements: list[Job[Settlement, None]] = []
        self._arrived = threading.Condition()
        self._closing_until: float | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    async def open(self, opening: Opening, *, alone: bool = False) -> Opened:
        """Returns once the opening is committed or refused. `alone`: there is nothing to group it with. Raises
        StoreUnavailable after OPENING_SECONDS.
        """
        job: Job[Opening, Opened] = Job(opening, self._loop.create_future())
        self._put(openings=[job], alone=alone)
        if job.done.done():
            return job.done.result()
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                return await job.done
        except asyncio.CancelledError:
            self._abandon(job, Settlement(opening, "disconnect"))
            raise
        except TimeoutError:
            self._abandon(job, Settlement(opening, "error", error=StoreUnavailable.code))
            raise StoreUnavailable("The ledger is not available. Try again later.") from None

    def settle(self, settlement: Settlement, *, alone: bool = False) -> "asyncio.Future[None]":
        """The future is done once the settlement is committed. The committer tries until it is, or the process ends."""
        job: Job[Settlement, None] = Job(settlement, self._loop.create_future())
        self._put(settlements=[job], alone=alone)
        return job.done

    @property
    def backlog(self) -> int:
        """How many settlements wait."""
        return len(self._settlements) + len(self._new_settlements)

    async def close(self) -> None:
        """Writes what waits, for at most CLOSING_SECONDS."""
        if self._writing:
            await self._writing
        self._write_new()
        with self._arrived:
            self._closing_until = time.monotonic() + CLOSING_SECONDS
            self._arrived.notify()
        await asyncio.to_thread(self._thread.join)
        if self._writing:
            await self._writing
        if self._settlements and time.monotonic() < self._closing_until:
            # Those of openings that were abandoned while they were written.
            await asyncio.to_thread(self._run)

    def _put(
        self,
        *,
        openings: Sequence[Job[Opening, Opened]] = (),
        settlements: Sequence[Job[Settlement, None]] = (),
        alone: bool = False,
    ) -> None:
        if self._write_soon is not None:
            self._new_openings += openings
            self._new_settlements += settlements
            self._writing = self._writing or self._loop.create_task(self._write_while_new(self._write_soon))
            return
        if self._write_at_once is None:
            self._hand_over(openings, settlements)
            return
        if not alone and not self._new_openings and not self._new_settlements:
            self._loop.call_soon(self._write_new)
        self._new_openings += openings
        self._new_settlements += settlements
        if alone:
            self._write_new()

    def _write_new(self) -> None:
        """What arrived in one round of the event loop is one group."""
        openings, settlements = self._take_new()
        if (openings or settlements) and not self._try_at_once(openings, settlements):
            self._hand_over(openings, settlements)

    def _take_new(self) -> Group:
        openings = [job for job in self._new_openings if not job.done.cancelled()]
        settlements, self._new_openings, self._new_settlements = self._new_settlements, [], []
        return openings, settlements

    async def _write_while_new(self, write_soon: WriteSoon) -> None:
        """What arrives while one group is written is the next."""
        while self._new_openings or self._new_settlements:
            openings, settlements = self._take_new()
            try:
                outcomes = await write_soon([job.work for job in openings], [job.work for job in settlements])
            except StoreBusy:
                self._hand_over(openings, settlements)
            except Exception:  # noqa: BLE001 - the thread tries again, and finds the job at fault
                mark_tried(openings)
                self._hand_over(openings, settlements)
            else:
                self._resolve([*zip(openings, outcomes, strict=True), *((job, None) for job in settlements)])
        self._writing = None

    def _try_at_once(self, openings: list[Job[Opening, Opened]], settlements: list[Job[Settlement, None]]) -> bool:
        """Whether the jobs are done."""
        assert self._write_at_once
        try:
            outcomes = self._write_at_once([job.work for job in openings], [job.work for job in settlements])
        except StoreBusy:
            return False
        except Exception:  # noqa: BLE001 - the thread tries again, and finds the job at fault
            mark_tried(openings)
            return False
        self._resolve([*zip(openings, outcomes, strict=True), *((job, None) for job in settlements)])
        return True

    def _hand_over(
        self, openings: Sequence[Job[Opening, Opened]], settlements: Sequence[Job[Settlement, None]]
    ) -> None:
        with self._arrived:
            self._openings += openings
            self._settlements += settlements
            self._arrived.notify()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while (group := self._take()) is not None:
            openings, settlements = group
            if self._commit(openings, settlements):
                pause = FIRST_PAUSE
                continue
            self._put_back(openings, settlements)
            if self._closing_until is not None and time.monotonic() > self._closing_until:
                log.error("the store accepted no more settlements", open=len(settlements))
                return
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _take(self) -> Group | None:
        """Waits for work. None once the committer is closing and nothing is left."""
        with self._arrived:
            while True:
                self._openings = [job for job in self._openings if job.was_tried or not job.done.cancelled()]
                openings, self._openings = self._openings[:LARGEST_GROUP], self._openings[LARGEST_GROUP:]
                settlements, self._settlements = self._settlements[:LARGEST_GROUP], self._settlements[LARGEST_GROUP:]
                if openings or settlements:
                    return openings, settlements
                if self._closing_until is not None:
                    return None
                self._arrived.wait()

    def _commit(self, openings: list[Job[Opening, Opened]], settlements: list[Job[Settlement, None]]) -> bool:
        """Whether the jobs are done, written or not. False if they should be tried again."""
        again = any(job.was_tried for job in openings)
        mark_tried(openings)
        try:
            outcomes = self._write([job.work for job in openings], [job.work for job in settlements], again=again)
        except StoreUnavailable:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread
            self._isolate(openings, settlements, error)
            return True
        done: list[tuple[Job[Any, Any], object]] = [
            *zip(openings, outcomes, strict=True),
            *((job, None) for job in settlements),
        ]
        self._call_loop(lambda: self._resolve(done))
        return True

    def _isolate(
        self, openings: list[Job[Opening, Opened]], settlements: list[Job[Settlement, None]], error: Exception
    ) -> None:
        """Writes each job alone, so that only the one at fault fails."""
        if len(openings) + len(settlements) == 1:
            log.error("an entry can't be written", error=repr(error))
            self._fail([*openings, *settlements])
            return
        for settlement in settlements:
            self._retry_alone([], [settlement])
        for opening in openings:
            self._retry_alone([opening], [])

    def _retry_alone(self, openings: list[Job[Opening, Opened]], settlements: list[Job[Settlement, None]]) -> None:
        if not self._commit(openings, settlements):
            self._put_back(openings, settlements)

    def _put_back(self, openings: list[Job[Opening, Opened]], settlements: list[Job[Settlement, None]]) -> None:
        with self._arrived:
            self._openings = openings + self._openings
            self._settlements = settlements + self._settlements

    def _resolve(self, outcomes: Sequence[tuple[Job[Any, Any], object]]) -> None:
        for job, outcome in outcomes:
            job.outcome = outcome
            if not job.done.done():
                job.done.set_result(outcome)
            self._settle_abandoned(job)

    def _abandon(self, job: Job[Opening, Opened], ending: Settlement) -> None:
        job.ending = ending
        self._settle_abandoned(job)

    def _settle_abandoned(self, job: Job[Any, Any]) -> None:
        """The outcome may come before or after a request gives up waiting for it."""
        if job.ending and job.outcome and job.outcome.is_started:
            self.settle(job.ending)

    def _fail(self, jobs: Sequence[Job[Any, Any]]) -> None:
        def resolve() -> None:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(StoreUnavailable("The ledger can't record this request."))

        self._call_loop(resolve)

    def _call_loop(self, resolve: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(resolve)


def mark_tried(openings: Iterable[Job[Opening, Opened]]) -> None:
    for job in openings:
        job.was_tried = True
