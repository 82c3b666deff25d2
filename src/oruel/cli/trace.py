"""The trace of a token, as docs/trace.md describes it."""

import msgspec


class TraceCandidate(msgspec.Struct):
    id: int
    token: str
    bytes: list[int]
    logit: float | None
    bias: float
    count: int
    probability: float
    after: list[float]
    removed_by: str | None


class TraceDraw(msgspec.Struct):
    u: float
    low: float
    high: float


class TraceShare(msgspec.Struct):
    """A number of tokens, and their probability in the model's distribution."""

    count: int
    mass: float


class TraceEntropy(msgspec.Struct):
    """In bits."""

    before: float
    after: float


class TokenTrace(msgspec.Struct):
    id: int
    token: str
    bytes: list[int]
    source: str
    steps: list[str]
    candidates: list[TraceCandidate]
    survivors: TraceShare
    allowed: TraceShare
    entropy: TraceEntropy
    draw: TraceDraw | None = None


def quote_token(traced: TokenTrace | TraceCandidate) -> str:
    """The token in quotes, without control characters. Its bytes if it is a part of a character, its id if it has no
    text.
    """
    if not traced.token:
        return f"id {traced.id}"
    if "\N{REPLACEMENT CHARACTER}" in traced.token:
        return repr(bytes(byte & 255 for byte in traced.bytes))
    return repr(traced.token)
