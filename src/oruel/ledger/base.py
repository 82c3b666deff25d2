"""What the API asks of a ledger and of its keys. Without a store, these are Unrecorded and NoKeys."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from oruel.ledger.caller import Caller
from oruel.ledger.entries import Opened
from oruel.types import Answer, ChatRequest, MeteredAnswer, Prepared


@dataclass(slots=True)
class EntryContext:
    """What the ledger and the API tell each other of one request. `started` is a time of time.perf_counter.
    `idempotency_key` and `fingerprint` (a digest of path and body) are "" without the header.

    The ledger sets `opened` before it raises a refusal and before it yields the first item. With `opened.replay`, there
    are no items: the API sends that answer again. The API sets `answer` and `media_type` to the body of its response
    after the last delta, before it asks for the next item; they stay None if the answer is not to be stored.
    """

    request_id: str
    started: float
    idempotency_key: str = ""
    fingerprint: str = ""
    opened: Opened | None = None
    answer: str | None = None
    media_type: str | None = None


class Ledger(Protocol):
    def meter(self, request: ChatRequest, caller: Caller, answer: Answer, context: EntryContext) -> MeteredAnswer:
        """Records the request. The answer is not computed before its highest price is reserved, and the last item is
        followed by the end of the generator only once the entry is settled.

        Raises what `answer` raises, InsufficientFunds, IdempotencyConflict, RateLimited and StoreUnavailable.
        """


class Unrecorded:
    """Records nothing."""

    async def meter(self, request: ChatRequest, caller: Caller, answer: Answer, context: EntryContext) -> MeteredAnswer:
        async with aclosing(answer):
            async for item in answer:
                if not isinstance(item, Prepared):
                    yield item


class Keys(Protocol):
    """The API keys of the store."""

    @property
    def has_keys(self) -> bool:
        """Whether the store has ever had a key."""

    def find(self, key: str) -> Caller | None:
        """None for an unknown, expired or revoked key, which takes as long as for a valid one."""


class NoKeys:
    has_keys = False

    def find(self, key: str) -> Caller | None:
        return None
