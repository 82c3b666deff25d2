"""Which tokens the next step computes: waiting and running sequences in, a plan out. No C, no clock, no I/O.

Invariant: the known tokens of the running sequences together fit the KV cache, so a planned step never runs out.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Ordered
from dataclasses import dataclass

from oruel.engine.sequence import Sequence

# Cells left free for each running sequence at an admission; without them a full cache would preempt the
# newcomer a few tokens later and compute its prompt again.
HEADROOM = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """`pool`: cells of the KV cache. `slots`: sequences that run at once.

    `step_tokens`: the most tokens that a step computes. `prefill_tokens`: the most of them that belong to prompts
    while other sequences decode, so that a long prompt doesn't stall them.
    """

    pool: int
    slots: int
    step_tokens: int
    prefill_tokens: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next `count` tokens of a sequence. One that leaves nothing missing yields a token."""

    sequence: Sequence
    count: int

    @property
    def yields(self) -> bool:
        return self.count == self.sequence.missing


@dataclass(frozen=True, slots=True)
class Plan:
    preempted: tuple[Sequence, ...]
    admitted: tuple[Sequence, ...]
    chunks: tuple[Chunk, ...]


def schedule(waiting: Ordered[Sequence], running: Ordered[Sequence], limits: Limits) -> Plan:
    """Both lists are oldest first. The youngest running sequences are preempted until the rest fit the cache;
    who waits is admitted in order, and nobody overtakes the first who doesn't fit.
    """
    kept = keep_what_fits(running, limits.pool)
    preempted = tuple(running[len(kept) :])
    # Whoever was just preempted didn't fit, and stands ahead of all who wait.
    admitted = () if preempted else admit(waiting, kept, limits)
    return Plan(preempted, admitted, spend((*kept, *admitted), limits))


def keep_what_fits(running: Ordered[Sequence], pool: int) -> tuple[Sequence, ...]:
    kept = list(running)
    while cells(kept) > pool:
        kept.pop()
    return tuple(kept)


def admit(waiting: Ordered[Sequence], running: Ordered[Sequence], limits: Limits) -> tuple[Sequence, ...]:
    admitted: list[Sequence] = []
    used = cells(running)
    for sequence in waiting[: limits.slots - len(running)]:
        used += sequence.known
        others = len(running) + len(admitted)
        if others and used + HEADROOM * (others + 1) > limits.pool:
            break
        admitted.append(sequence)
    return tuple(admitted)


def spend(running: Ordered[Sequence], limits: Limits) -> tuple[Chunk, ...]:
    """Every sequence that misses one token gets it; what the budget has left goes to the others, oldest first."""
    decoding = sum(sequence.missing == 1 for sequence in running)
    budget = limits.step_tokens - decoding
    if decoding:
        budget = min(budget, limits.prefill_tokens)
    chunks: list[Chunk] = []
    for sequence in running:
        if sequence.missing == 1:
            chunks.append(Chunk(sequence, 1))
        elif budget:
            chunks.append(Chunk(sequence, min(sequence.missing, budget)))
            budget -= chunks[-1].count
    return tuple(chunks)


def cells(sequences: Iterable[Sequence]) -> int:
    return sum(sequence.known for sequence in sequences)
