"""One request as data: what is sent, when the client disconnects, and the expected outcome."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHAT = "/v1/chat/completions"

QUEUE_SECONDS = 60.0


@dataclass(frozen=True)
class Refusal:
    """The refusal that a mistake must get. `param` is a prefix of error.param, None if no field is at fault."""

    status: int
    code: str | None = None
    param: str | None = None


@dataclass(frozen=True)
class Leaving:
    """The client disconnects after so many seconds or stream events, whichever comes first."""

    seconds: float
    events: int | None = None


@dataclass(frozen=True)
class Plan:
    """`raw`, if set, is sent instead of `body`. `tolerated` lists the error codes that this request may get, in
    addition to those caused by load, kills and deadlines. `deadline_seconds` is the earliest time at which a deadline
    may pass: the client's own, or else the shortest of the server's, which is the one for the queue.
    """

    id: str
    body: Mapping[str, Any]
    path: str = CHAT
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    refusal: Refusal | None = None
    tolerated: tuple[str, ...] = ()
    deadline_seconds: float = QUEUE_SECONDS
    leaving: Leaving | None = None

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def choices(self) -> int:
        return int(self.body.get("n") or 1)

    @property
    def max_tokens(self) -> int | None:
        given = self.body.get("max_tokens") or self.body.get("max_completion_tokens")
        return int(given) if given else None

    @property
    def stops(self) -> tuple[str, ...]:
        given = self.body.get("stop") or ()
        return (given,) if isinstance(given, str) else tuple(given)

    @property
    def top_logprobs(self) -> int | None:
        return int(self.body.get("top_logprobs") or 0) if self.body.get("logprobs") else None

    @property
    def repeats(self) -> bool:
        """Whether the same body must always get the same text."""
        greedy = self.body.get("temperature") == 0 or self.body.get("top_k") == 1
        return self.refusal is None and (greedy or self.body.get("seed") is not None)
