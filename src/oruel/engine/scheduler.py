"""Plans the next step from the waiting and running sequences. No C, no clock, no I/O."""

from collections.abc import Iterator
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, replace

import msgspec

from oruel.engine.sequence import Sequence
from oruel.engine.slots import Placement, Slot, place

# From 64 rows of one sequence on, flash attention sums in another order (docs/determinism.md).
INVARIANT_CHUNK_TOKENS = 60
# Looking for the computed prefix of a long prompt takes some 50 µs, so a step does it for at most this many in vain.
MAX_POSTPONED = 16


@dataclass(frozen=True)
class StepLimits:
    """`parallel`: how many sequences run at once, at most the number of slots. `shares`: whether computed prefixes may
    be reused. A step computes at most `prefill_tokens` of prompts, and fewer while other sequences decode, so that a
    long prompt doesn't stall them.
    """

    parallel: int
    shares: bool = True
    prefill_tokens: int = 480
    prefill_tokens_during_decode: int = 120


class SequenceChunk(msgspec.Struct, frozen=True):
    """`count` tokens of a sequence from `start` on. A chunk that reaches the last known token yields the next one."""

    sequence: Sequence
    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def yields(self) -> bool:
        return self.end == self.sequence.known


class StepPlan(msgspec.Struct, frozen=True):
    """`decoding`: the sequences with a single token to compute, which share a batch. `chunks`: parts of the others."""

    preempted: tuple[Sequence, ...]
    placements: tuple[Placement, ...]
    decoding: tuple[SequenceChunk, ...]
    chunks: tuple[SequenceChunk, ...]


def schedule(
    waiting: Ordered[Sequence], running: Ordered[Sequence], slots: Ordered[Slot], limits: StepLimits
) -> StepPlan:
    """`waiting` is in order of rank. A sequence passes one of lower rank only if that one waits for a prefix that a
    running sequence is computing, or if it is short and that one's prompt can't be started yet.
    """
    preempted = preempt(waiting, running, slots, limits)
    kept = [sequence for sequence in running if sequence not in preempted]
    slots = vacate_slots(slots, preempted) if preempted else list(slots)
    placements = tuple(place_waiting(waiting, kept, slots, limits))
    starts = {sequence: sequence.computed for sequence in kept}
    starts |= {placement.sequence: placement.cached for placement in placements}
    decoding = tuple(
        SequenceChunk(sequence, start, 1) for sequence, start in starts.items() if sequence.known - start == 1
    )
    postponed = min(len(waiting) - len(placements), limits.parallel - len(starts))
    chunks = prefill(starts, prefill_budget(len(starts) + postponed, len(decoding), limits), limits)
    return StepPlan(preempted, placements, decoding, tuple(chunks))


def preempt(
    waiting: Ordered[Sequence], running: Ordered[Sequence], slots: Ordered[Slot], limits: StepLimits
) -> tuple[Sequence, ...]:
    """The youngest standard sequence, if a turbo sequence of lower rank finds every slot taken and could start now."""
    if not waiting or waiting[0].tier != "turbo" or len(running) < limits.parallel:
        return ()
    outranked = [s for s in running if s.tier == "standard" and s.rank > waiting[0].rank]
    if not outranked:
        return ()
    youngest = (max(outranked, key=lambda sequence: sequence.arrived),)
    enters = place(waiting[0], vacate_slots(slots, youngest), shares=limits.shares) is not None
    return youngest if enters else ()


def vacate_slots(slots: Ordered[Slot], left: tuple[Sequence, ...]) -> list[Slot]:
    freed = {sequence.slot for sequence in left}
    return [replace(slot, is_idle=slot.is_idle or slot.number in freed) for slot in slots]


def place_waiting(
    waiting: Ordered[Sequence], running: Ordered[Sequence], slots: list[Slot], limits: StepLimits
) -> Iterator[Placement]:
    """A long prompt that this step couldn't start yet takes no slot, so that one is left for short prompts."""
    places = limits.parallel - len(running)
    missing = {sequence: sequence.missing for sequence in running}
    short, postponed = limits.prefill_tokens_during_decode, 0
    for sequence in waiting:
        if places == 0:
            return
        if postponed == MAX_POSTPONED and sequence.known > short:
            continue
        placement = place(sequence, slots, shares=limits.shares)
        if placement is None:
            continue
        own = sequence.known - placement.cached
        before = sum(count for other, count in missing.items() if other.rank < sequence.rank)
        if before < limits.prefill_tokens or own <= short:
            yield placement
            places -= 1
            missing[sequence] = own
            slots[placement.slot] = Slot(
                placement.slot,
                sequence.tokens,
                computed=placement.cached,
                invariant=placement.invariant,
                used=0,
                is_idle=False,
                cache_salt=sequence.cache_salt,
                reproducible=sequence.reproducible,
            )
        else:
            postponed += 1


def prefill_budget(sequences: int, decoding: int, limits: StepLimits) -> int:
    """While others decode, a lone prompt gets a small budget. The more prompts wait, the more of the step they get,
    since all of them then decode sooner.
    """
    if decoding == 0:
        return limits.prefill_tokens
    others = sequences - decoding - 1
    share = limits.prefill_tokens * 2 * others // sequences
    return min(limits.prefill_tokens, max(limits.prefill_tokens_during_decode, share))


def prefill(starts: dict[Sequence, int], budget: int, limits: StepLimits) -> Iterator[SequenceChunk]:
    """Chunks of at least two tokens, by rank, until the budget is spent. A single remaining token waits for the next
    step. If short prompts pass a long one, its part of the step is small, so that they get their first tokens soon.
    """
    prefilling = sorted((one for one, start in starts.items() if one.known - start > 1), key=lambda one: one.rank)
    passing = passing_prompts(prefilling, starts, budget, limits)
    for sequence in passing:
        yield from chunks_of(sequence, starts[sequence], sequence.known - starts[sequence])
        budget -= sequence.known - starts[sequence]
    if passing:
        budget = min(budget, limits.prefill_tokens_during_decode)
    for sequence in prefilling:
        if sequence not in passing:
            for chunk in chunks_of(sequence, starts[sequence], budget):
                yield chunk
                budget -= chunk.count


def passing_prompts(
    prefilling: Ordered[Sequence], starts: dict[Sequence, int], budget: int, limits: StepLimits
) -> list[Sequence]:
    """The short prompts that pass the first one, which is of the same tier: as many as half of the budget completes.
    None if the first one is short itself.
    """
    missing = {one: one.known - starts[one] for one in prefilling}
    passing, half = list[Sequence](), budget // 2
    if not prefilling or missing[prefilling[0]] <= limits.prefill_tokens_during_decode:
        return passing
    for one in prefilling[1:]:
        if one.tier == prefilling[0].tier and missing[one] <= half:
            passing.append(one)
            half -= missing[one]
    return passing


def chunks_of(sequence: Sequence, start: int, budget: int) -> Iterator[SequenceChunk]:
    while budget > 1 and sequence.known - start > 1:
        most = min(budget, INVARIANT_CHUNK_TOKENS) if sequence.reproducible else budget
        chunk = SequenceChunk(sequence, start, min(sequence.known - start, most))
        yield chunk
        start = chunk.end
        budget -= chunk.count
