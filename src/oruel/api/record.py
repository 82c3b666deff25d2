"""What is known of one HTTP request by its end: the log line and the metrics are made of it, and of nothing else."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from oruel.types import ChatRequest, Delta, Usage

SCOPE_KEY = "oruel.record"


@dataclass
class RequestRecord:
    """Times are in seconds of time.perf_counter. `status` stays 499 when the client left before it had one."""

    id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 499
    model: str | None = None
    tier: str | None = None
    completion: str | None = None
    first_delta: float | None = None
    usage: Usage | None = None
    error: str | None = None
    recorded: Mapping[str, Any] = field(default_factory=dict)

    def asked(self, request: ChatRequest, recorded: Mapping[str, Any]) -> None:
        self.completion, self.model, self.tier, self.recorded = request.id, request.model, request.tier, recorded

    def answered(self, delta: Delta) -> None:
        if self.first_delta is None:
            self.first_delta, self.model, self.tier = time.perf_counter(), delta.model, delta.tier
        self.usage = delta.usage or self.usage


def record_of(request: Request) -> RequestRecord:
    return record_in(request.scope)


def record_in(scope: Scope) -> RequestRecord:
    record = scope[SCOPE_KEY]
    assert isinstance(record, RequestRecord)
    return record
