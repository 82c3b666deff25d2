"""Checks the order of a stream's events and folds them into a completion."""

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from tests.soak.shapes import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Entry,
    ErrorBody,
    Failure,
    Logprobs,
    Message,
    Usage,
)
from tests.soak.wrong import CheckFailed, decode, require


def read_stream(body: bytes, *, include_usage: bool) -> Completion | ErrorBody:
    """The completion or error of a stream. Raises CheckFailed."""
    sent = list(events(body))
    require(sent.count(b"[DONE]") == 1 and sent[-1] == b"[DONE]", f"a stream that ends with {sent[-2:]}")
    require(len(sent) > 1, "an empty stream")
    if sent[-2].startswith(b'{"error"'):
        for event in sent[:-2]:
            decode(event, Chunk)
        return decode(sent[-2], Failure).error
    chunks = [decode(event, Chunk) for event in sent[:-1]]
    return fold(chunks, find_usage(chunks, alone=include_usage))


def events(body: bytes) -> Iterator[bytes]:
    """Yields the data of each event and skips comments, which are heartbeats."""
    require(body.endswith(b"\n\n"), f"a truncated stream: {body[-100:]!r}")
    for event in body[:-2].split(b"\n\n"):
        if not event.startswith(b":"):
            require(event.startswith(b"data: ") and b"\n" not in event, f"an invalid event: {event[:300]!r}")
            yield event[6:]


def find_usage(chunks: list[Chunk], *, alone: bool) -> Usage:
    """Finds the usage, which only the last chunk has: a chunk without choices if `alone`, else the one with the last
    finish_reason.
    """
    last = chunks[-1]
    early = [chunk for chunk in chunks[:-1] if isinstance(chunk.usage, Usage)]
    require(isinstance(last.usage, Usage) and not early, "usage must be on the last chunk and on no other")
    require((not last.choices) == alone, f"usage on the wrong chunk: {last}")
    expected = None if alone else UNSET
    require(all(chunk.usage is expected for chunk in chunks[:-1]), f"usage must be {expected} before the last chunk")
    assert isinstance(last.usage, Usage)
    return last.usage


def fold(chunks: list[Chunk], usage: Usage) -> Completion:
    first = chunks[0]
    heads = {(chunk.id, chunk.created, chunk.model, chunk.tier, chunk.system_fingerprint) for chunk in chunks}
    require(len(heads) == 1, f"chunks of different answers: {heads}")
    pieces: dict[int, list[ChunkChoice]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            pieces.setdefault(choice.index, []).append(choice)
    return Completion(
        id=first.id,
        object="chat.completion",
        created=first.created,
        model=first.model,
        tier=first.tier,
        system_fingerprint=first.system_fingerprint,
        choices=[fold_choice(index, pieces[index]) for index in sorted(pieces)],
        usage=usage,
    )


def fold_choice(index: int, pieces: list[ChunkChoice]) -> Choice:
    roles = [piece.delta.role is not UNSET for piece in pieces]
    require(
        roles == [True] + [False] * (len(pieces) - 1), "the role must be in the first chunk of a choice and in no other"
    )
    finish = pieces[-1].finish_reason
    if finish is None or any(piece.finish_reason for piece in pieces[:-1]):
        raise CheckFailed(f"finish_reason must be on the last chunk of a choice and on no other: {pieces[-2:]}")
    text = "".join(piece.delta.content for piece in pieces if piece.delta.content is not UNSET)
    with_logprobs = any(piece.logprobs for piece in pieces)
    logprobs = Logprobs(list(entries(pieces))) if with_logprobs else None
    return Choice(index, Message("assistant", text), finish, logprobs)


def entries(pieces: Iterable[ChunkChoice]) -> Iterator[Entry]:
    for piece in pieces:
        if piece.logprobs:
            yield from piece.logprobs.content
