"""Turns chunks into batches for llama.cpp. In an invariant batch, the bits of a row don't depend on the other rows.

The rules are derived in docs/determinism.md: at least two rows, at least two of them with logits, fewer than 64 rows of
one sequence, and sequences in adjacent slots. If a reproducible sequence has too few neighbours, padding is computed
and then forgotten.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Ordered
from itertools import accumulate

import msgspec

from oruel.engine.scheduler import INVARIANT_CHUNK_TOKENS, SequenceChunk

PADDING_TOKEN = 0


class Batch(msgspec.Struct, frozen=True):
    """Four columns with one row per token. `yields` pairs a sequence's chunk with its row among those that have logits.
    `padding` lists the cells to forget afterwards, as (slot, position).
    """

    tokens: list[int]
    positions: list[int]
    slots: list[int]
    outputs: list[bool]
    chunks: tuple[SequenceChunk, ...]
    yields: tuple[tuple[SequenceChunk, int], ...]
    padding: tuple[tuple[int, int], ...] = ()

    @property
    def is_invariant(self) -> bool:
        first, last = self.slots[0], self.slots[-1]
        if first == last:
            return 2 <= len(self.slots) <= INVARIANT_CHUNK_TOKENS
        return len(self.slots) == len(set(self.slots)) == last - first + 1


def prefill_batches(chunks: Iterable[SequenceChunk]) -> Iterator[Batch]:
    """Yields each chunk of a reproducible sequence alone, in order, and the chunks of all other sequences together,
    which is cheaper.
    """
    others: list[Batch] = []
    for chunk in chunks:
        batch = prefill_batch(chunk)
        if chunk.sequence.reproducible:
            yield batch
        else:
            others.append(batch)
    if others:
        yield join_batches(others)


def join_batches(batches: list[Batch]) -> Batch:
    """Joins batches without padding into one, in order of slot, as llama.cpp requires."""
    batches = sorted(batches, key=lambda batch: batch.slots[0])
    firsts = accumulate((sum(batch.outputs) for batch in batches), initial=0)
    return Batch(
        tokens=[token for batch in batches for token in batch.tokens],
        positions=[position for batch in batches for position in batch.positions],
        slots=[slot for batch in batches for slot in batch.slots],
        outputs=[output for batch in batches for output in batch.outputs],
        chunks=tuple(chunk for batch in batches for chunk in batch.chunks),
        yields=tuple(
            (chunk, first + row) for batch, first in zip(batches, firsts, strict=False) for chunk, row in batch.yields
        ),
    )


def prefill_batch(chunk: SequenceChunk) -> Batch:
    """A batch of a single chunk of at least two tokens."""
    assert chunk.count >= 2, chunk
    assert chunk.sequence.slot is not None
    # The output layer needs two rows in an invariant batch; the last but one is the second.
    rows = 0 if not chunk.yields else 2 if chunk.sequence.reproducible else 1
    return Batch(
        tokens=chunk.sequence.tokens[chunk.start : chunk.end],
        positions=list(range(chunk.start, chunk.end)),
        slots=[chunk.sequence.slot] * chunk.count,
        outputs=[False] * (chunk.count - rows) + [True] * rows,
        chunks=(chunk,),
        yields=((chunk, rows - 1),) if rows else (),
    )


def decode_batch(
    chunks: Ordered[SequenceChunk], slot_count: int, used_cells: Callable[[int], int], *, can_pad: bool = True
) -> Batch:
    """One token of each sequence. Padding goes to the first free cell of a slot, at position `used_cells(slot)`."""
    pads = can_pad and any(chunk.sequence.reproducible for chunk in chunks)
    by_slot = {chunk.sequence.slot: chunk for chunk in chunks if chunk.sequence.slot is not None}
    slots = pad_slots(sorted(by_slot), slot_count) if pads else sorted(by_slot)
    rows = [by_slot.get(slot) for slot in slots]
    padding = {slot: used_cells(slot) for slot, chunk in zip(slots, rows, strict=True) if chunk is None}
    return Batch(
        tokens=[chunk.sequence.tokens[chunk.start] if chunk else PADDING_TOKEN for chunk in rows],
        positions=[chunk.start if chunk else padding[slot] for slot, chunk in zip(slots, rows, strict=True)],
        slots=slots,
        outputs=[True] * len(slots),
        chunks=tuple(chunks),
        yields=tuple((chunk, row) for row, chunk in enumerate(rows) if chunk),
        padding=tuple(padding.items()),
    )


def pad_slots(slots: list[int], count: int) -> list[int]:
    """All slots from the first to the last, at least two."""
    first, last = slots[0], slots[-1]
    if first == last:
        return [first, first + 1] if first + 1 < count else [first - 1, first]
    return list(range(first, last + 1))
