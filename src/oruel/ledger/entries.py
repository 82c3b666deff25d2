"""What the store is asked to record of one request, and what it answers. Money is in units of 10⁻¹² USD.

Structs, because a frozen dataclass of this size takes ten times as long to make.
"""

from typing import Literal

import msgspec

from oruel.errors import OruelError

Status = Literal["finished", "error", "disconnect", "crashed"]


class Opening(msgspec.Struct, frozen=True):
    """Opens an entry: reserves the highest possible price and the tokens before anything is computed. `created` is in
    microseconds since the epoch. `idempotency_key` and `fingerprint` (a digest of path and body) are "" without the
    header. `replaces`: an earlier opening of the same entry, for a deployment that failed.
    """

    id: str
    request_id: str
    account: str
    key: str
    model: str
    tier: str
    created: int
    price: int
    tokens: int
    idempotency_key: str = ""
    fingerprint: str = ""
    replaces: bool = False

    @property
    def reserves(self) -> bool:
        """False for a request that failed before its prompt was prepared."""
        return self.tokens > 0


class Settlement(msgspec.Struct, frozen=True):
    """Settles the entry of `opening`, or records one that never reserved anything."""

    opening: Opening
    status: Status
    finish: str | None = None
    error: str | None = None
    deployment: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    price: int = 0
    cost: int = 0
    queued_ms: float | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    answer: str | None = None
    media_type: str | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Allowance(msgspec.Struct, frozen=True):
    """What one limit per minute allows now. `reset`: microseconds until it is unused again."""

    limit: int
    remaining: int
    reset: int


class Opened(msgspec.Struct, frozen=True):
    """The outcome of an Opening. With `refusal`, nothing was recorded. `replay` is the stored answer of an earlier
    request with the same Idempotency-Key, and its media type.
    """

    refusal: OruelError | None = None
    requests: Allowance | None = None
    tokens: Allowance | None = None
    replay: tuple[str, str] | None = None

    @property
    def is_started(self) -> bool:
        """Whether there is an open entry now."""
        return self.refusal is None and self.replay is None


NOT_LIMITED = Opened()
