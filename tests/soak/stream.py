"""The events of a stream, checked for order and folded into the completion that they amount to."""

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
from tests.soak.wrong import Wrong, decode, hold


def read_stream(body: bytes, *, include_usage: bool) -> Completion | ErrorBody:
    """Raises Wrong."""
    sent = list(events(body))
    hold(sent.count(b"[DONE]") == 1 and sent[-1] == b"[DONE]", f"a stream that ends with {sent[-2:]}")
    hold(len(sent) > 1, "an empty stream")
    if sent[-2].startswith(b'{"error"'):
        for event in sent[:-2]:
            decode(event, Chunk)
        return decode(sent[-2], Failure).error
    chunks = [decode(event, Chunk) for event in sent[:-1]]
    return fold(chunks, the_usage(chunks, alone=include_usage))


def events(body: bytes) -> Iterator[bytes]:
    """The data of each event; comments are heartbeats."""
    hold(body.endswith(b"\n\n"), f"a stream that breaks off: {body[-100:]!r}")
    for event in body[:-2].split(b"\n\n"):
        if not event.startswith(b":"):
            hold(event.startswith(b"data: ") and b"\n" not in event, f"an event out of shape: {event[:300]!r}")
            yield event[6:]


def the_usage(chunks: list[Chunk], *, alone: bool) -> Usage:
    """It is given once, on the last chunk: one of its own where `alone`, else that of the last finish_reason."""
    last = chunks[-1]
    early = [chunk for chunk in chunks[:-1] if isinstance(chunk.usage, Usage)]
    hold(isinstance(last.usage, Usage) and not early, "usage missing from the last chunk, or on another")
    hold((not last.choices) == alone, f"usage on the wrong chunk: {last}")
    expected = None if alone else UNSET
    hold(all(chunk.usage is expected for chunk in chunks[:-1]), f"usage must be {expected} before the last chunk")
    assert isinstance(last.usage, Usage)
    return last.usage


def fold(chunks: list[Chunk], usage: Usage) -> Completion:
    first = chunks[0]
    heads = {(chunk.id, chunk.created, chunk.model, chunk.tier, chunk.system_fingerprint) for chunk in chunks}
    hold(len(heads) == 1, f"chunks of different answers: {heads}")
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
    hold(roles == [True] + [False] * (len(pieces) - 1), "the role is in the first chunk of a choice, and only there")
    finish = pieces[-1].finish_reason
    if finish is None or any(piece.finish_reason for piece in pieces[:-1]):
        raise Wrong(f"a choice's last chunk carries its finish_reason, and only that one: {pieces[-2:]}")
    text = "".join(piece.delta.content for piece in pieces if piece.delta.content is not UNSET)
    with_logprobs = any(piece.logprobs for piece in pieces)
    logprobs = Logprobs(list(entries(pieces))) if with_logprobs else None
    return Choice(index, Message("assistant", text), finish, logprobs)


def entries(pieces: Iterable[ChunkChoice]) -> Iterator[Entry]:
    for piece in pieces:
        if piece.logprobs:
            yield from piece.logprobs.content
