"""The record of one HTTP request, from which its log line and metrics are written."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from oruel.contract.kinds import abbreviate
from oruel.ledger.base import EntryContext
from oruel.ledger.caller import ANONYMOUS, Caller
from oruel.types import Accepted, ChatRequest, Delta, Usage

SCOPE_KEY = "oruel.record"
MAX_HEADER_CHARACTERS = 4096


@dataclass
class RequestRecord:
    """Times are in seconds of time.perf_counter; `queued` is the seconds that the request waited in the queue. `status`
    stays 499 if the client disconnected before it had one. `entry` is what the ledger knows of a chat request.
    """

    id: str
    caller: Caller = ANONYMOUS
    started: float = field(default_factory=time.perf_counter)
    status: int = 499
    model: str | None = None
    tier: str | None = None
    choices: int = 1
    completion: str | None = None
    queued: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    usage: Usage | None = None
    error: str | None = None
    recorded: Mapping[str, Any] = field(default_factory=dict)
    deployment: str = ""
    entry: EntryContext | None = None

    @property
    def account(self) -> str:
        """Separates the prefix caches and jobs of accounts; reveals neither account nor key."""
        return self.caller.cache_scope

    def note_request(self, request: ChatRequest, recorded: Mapping[str, Any]) -> None:
        self.completion, self.model, self.tier, self.recorded = request.id, request.model, request.tier, recorded
        self.choices = request.n

    def note_item(self, item: Accepted | Delta) -> None:
        if isinstance(item, Accepted):
            self.queued, self.deployment = item.queued, item.deployment
            return
        self.model, self.tier = item.model, item.tier
        self.last_token = time.perf_counter()
        if self.first_token is None:
            self.first_token = self.last_token
        self.usage = item.usage or self.usage

    @property
    def to_first_token(self) -> float | None:
        return None if self.first_token is None else self.first_token - self.started

    @property
    def per_token(self) -> float | None:
        """Mean seconds between two tokens of a choice. None if the answer is incomplete or a choice has one token."""
        if self.usage is None or self.first_token is None or self.last_token is None:
            return None
        gaps = self.usage.completion_tokens / self.choices - 1
        return (self.last_token - self.first_token) / gaps if gaps > 0 else None


def record_of(request: Request) -> RequestRecord:
    return record_in(request.scope)


def record_in(scope: Scope) -> RequestRecord:
    record = scope[SCOPE_KEY]
    assert isinstance(record, RequestRecord)
    return record


def header_text(text: str) -> str:
    """Makes text safe for a header: bounded in length, printable, with a question mark for each non-ASCII character."""
    return abbreviate(text, MAX_HEADER_CHARACTERS).encode("ascii", "replace").decode()
