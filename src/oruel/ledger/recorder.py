"""The ledger over a store: opens an entry before the first token is computed, and settles it however it ends."""

import asyncio
from contextlib import aclosing

import structlog

from oruel.errors import OruelError, RequestError, ServerError, StoreUnavailable
from oruel.ledger.base import EntryContext
from oruel.ledger.caller import Caller
from oruel.ledger.committer import SETTLING_SECONDS, Committer
from oruel.ledger.entries import Status
from oruel.ledger.entry import Entry, PriceList
from oruel.router.catalog import Catalog
from oruel.types import Answer, ChatRequest, MeteredAnswer, Prepared

log = structlog.get_logger("oruel.ledger")

# While the store is down, failed requests that reserved nothing are recorded only up to this many.
LONGEST_BACKLOG = 10_000


class Recorder:
    """A Ledger."""

    def __init__(self, committer: Committer, catalog: Catalog, prices: PriceList) -> None:
        self._committer = committer
        self._catalog = catalog
        self._prices = prices
        self._running = 0

    async def meter(self, request: ChatRequest, caller: Caller, answer: Answer, context: EntryContext) -> MeteredAnswer:
        entry = Entry(request, caller, context, self._catalog.resolve(request.model).name, self._prices)
        settled: asyncio.Future[None] | None = None
        self._running += 1
        try:
            async with aclosing(answer):
                async for item in answer:
                    if isinstance(item, Prepared):
                        await self._open(entry, item, context)
                        if entry.is_closed:
                            return
                        continue
                    noted = entry.note(item)
                    if entry.is_complete and not context.idempotency_key:
                        # While the store writes, the last delta goes to the client.
                        settled = settled or self._settle(entry)
                    yield noted
            await self._recorded(settled or self._settle(entry))
        except BaseException as error:
            if settled:
                forget(settled)
            self._end_early(entry, error)
            raise
        finally:
            self._running -= 1

    async def _open(self, entry: Entry, prepared: Prepared, context: EntryContext) -> None:
        """Raises the refusal, or StoreUnavailable. A deployment that takes over reserves only what is missing."""
        opening = entry.opening_for(prepared)
        if entry.covers(opening):
            return
        context.opened = await self._committer.open(opening, alone=self._running == 1)
        if context.opened.refusal or context.opened.replay:
            entry.is_closed = True
        if context.opened.refusal:
            raise context.opened.refusal
        entry.opening = opening

    def _settle(self, entry: Entry) -> "asyncio.Future[None]":
        """The settlement is written even if the client leaves now."""
        entry.is_closed = True
        return self._committer.settle(entry.settlement("finished"), alone=self._running == 1)

    async def _recorded(self, settled: "asyncio.Future[None]") -> None:
        """Raises StoreUnavailable if the settlement isn't committed in time."""
        try:
            if not settled.done():
                await asyncio.wait([settled], timeout=SETTLING_SECONDS)
        finally:
            if not settled.done():
                forget(settled)
        if not settled.done():
            raise StoreUnavailable(
                "The ledger could not record the end of this answer, so it is not complete. Try again later."
            )
        settled.result()

    def _end_early(self, entry: Entry, error: BaseException) -> None:
        if entry.is_closed:
            return
        if entry.opening is None and isinstance(error, RequestError | StoreUnavailable):
            return
        if entry.opening is None and self._committer.backlog > LONGEST_BACKLOG:
            log.warning("a failed request is not recorded, because the store accepts nothing")
            return
        entry.is_closed = True
        forget(self._committer.settle(entry.settlement(*ending(entry, error))))


def forget(settled: "asyncio.Future[None]") -> None:
    """Nobody waits for it any more, so that its failure would be reported as never retrieved."""
    settled.add_done_callback(lambda done: done.cancelled() or done.exception())


def ending(entry: Entry, error: BaseException) -> tuple[Status, str | None]:
    """The status and error code of an answer that ended with `error`."""
    if entry.is_complete:
        return "finished", None
    if isinstance(error, GeneratorExit | asyncio.CancelledError):
        return "disconnect", None
    return "error", (error.code or error.type) if isinstance(error, OruelError) else ServerError.code
