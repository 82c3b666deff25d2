"""The protocol between the API and the ledger."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from oruel.ledger.caller import Caller
from oruel.ledger.entries import Opened
from oruel.types import Answer, ChatRequest, MeteredAnswer, Prepared


@dataclass
class EntryContext:
    """What the ledger and the API tell each other about one request. `started` is a time of time.perf_counter.

    The ledger sets `opened` once it has opened the entry or refused to. If it holds a replay, the answer has no items.
    The API sets `answer`, the text that it sends (a stream without [DONE]), before it asks for the item after the last
    delta; None if it is too long to be stored.
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
        """The same answer, recorded: nothing is computed before the entry is opened, and the end comes once it is
        settled. Raises AuthenticationError, InsufficientFunds, RateLimited, IdempotencyConflict and StoreUnavailable.
        """


class Unrecorded:
    """A ledger that records nothing."""

    async def meter(self, request: ChatRequest, caller: Caller, answer: Answer, context: EntryContext) -> MeteredAnswer:
        async with aclosing(answer):
            async for item in answer:
                if not isinstance(item, Prepared):
                    yield item


class Keys(Protocol):
    """The API keys of the store."""

    @property
    def has_keys(self) -> bool:
        """Also if all are revoked or expired."""

    def find(self, key: str) -> Caller | None:
        """None for an unknown, revoked or expired key, which takes as long as for a valid one."""


class NoKeys:
    """The keys of a server without a store."""

    has_keys = False

    def find(self, key: str) -> Caller | None:
        return None
