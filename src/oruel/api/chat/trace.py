"""The shape of a trace in answers (docs/trace.md)."""

from collections.abc import Iterable

import msgspec

from oruel.types import (
    CandidateTrace,
    DrawTrace,
    EntropyChange,
    LogitHistogram,
    TokenCount,
    TokenSource,
    TokenText,
    TracedToken,
)


class TracedCandidate(msgspec.Struct):
    id: int
    token: str
    bytes: list[int]
    logit: float | None
    bias: float
    count: int
    probability: float
    after: list[float]
    removed_by: str | None


class TraceEntry(msgspec.Struct):
    """How one token was chosen. Of a token of trace.prefix, only the source is known."""

    id: int
    token: str
    bytes: list[int]
    source: TokenSource
    vocabulary_size: int
    steps: list[str]
    candidates: list[TracedCandidate]
    survivors: TokenCount | None
    allowed: TokenCount | None
    rest: LogitHistogram | None
    draw: DrawTrace | None
    entropy: EntropyChange | None


def trace_entries(tokens: Iterable[TracedToken]) -> list[TraceEntry]:
    return [trace_entry(token) for token in tokens]


def trace_entry(token: TracedToken) -> TraceEntry:
    own, trace = token.texts[token.id], token.trace
    return TraceEntry(
        id=token.id,
        token=own.text,
        bytes=list(own.bytes),
        source=trace.source,
        vocabulary_size=trace.vocabulary_size,
        steps=trace.steps,
        candidates=[traced_candidate(one, token.texts[one.id]) for one in trace.candidates],
        survivors=trace.survivors,
        allowed=trace.allowed,
        rest=trace.rest,
        draw=trace.draw,
        entropy=trace.entropy,
    )


def traced_candidate(candidate: CandidateTrace, text: TokenText) -> TracedCandidate:
    return TracedCandidate(
        id=candidate.id,
        token=text.text,
        bytes=list(text.bytes),
        logit=candidate.logit,
        bias=candidate.bias,
        count=candidate.count,
        probability=candidate.probability,
        after=candidate.after,
        removed_by=candidate.removed_by,
    )
