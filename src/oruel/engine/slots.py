"""Chooses the slot of a sequence, and whose computed tokens it reuses. Pure: the contents of slots in, a placement out.

A slot holds the cells of one sequence in order of position. An idle slot keeps its cells as a prefix cache until it is
the least recently used one.
"""

from collections.abc import Sequence as Ordered
from dataclasses import dataclass

from oruel.engine.sequence import Sequence

# Copying a slot costs about as much as computing some dozens of tokens, however few of its cells are shared.
WORTH_COPYING = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """The cells hold the first `computed` of `tokens`: all of them in an idle slot. The first `invariant` were computed
    in batch-invariant shapes; the rest will be if the running sequence is `reproducible`. `used` is the last step in
    which the slot ran a sequence.
    """

    number: int
    tokens: list[int]
    computed: int
    invariant: int
    used: int
    is_idle: bool
    cache_salt: str = ""
    reproducible: bool = False

    def usable(self, sequence: Sequence) -> int:
        """How many of its first tokens a sequence with the same beginning may reuse."""
        return self.invariant if sequence.reproducible else self.computed

    def shared_tokens(self, sequence: Sequence) -> int:
        """How many first tokens a sequence has in common with the slot, if it may share with it."""
        return (
            shared_prefix(self.tokens, sequence.tokens, sequence.known - 1)
            if self.cache_salt == sequence.cache_salt
            else 0
        )

    def will_serve(self, sequence: Sequence) -> bool:
        """Whether the sequence may also reuse what is still to be computed here."""
        return not self.is_idle and (self.reproducible or not sequence.reproducible)


@dataclass(frozen=True, slots=True)
class Placement:
    """`sequence` will run in `slot`. The first `cached` cells come from `source`, which may be the same slot, and the
    others are freed. The first `invariant` cells were computed in batch-invariant shapes.
    """

    sequence: Sequence
    slot: int
    source: int
    cached: int
    invariant: int


def place(sequence: Sequence, slots: Ordered[Slot], *, shares: bool = True) -> Placement | None:
    """None if it is better to wait, because a running sequence is about to compute a prefix that can then be copied.

    At least one slot is idle. The last known token is always computed again, since its logits are needed.
    """
    oldest = min((slot for slot in slots if slot.is_idle), key=lambda slot: (slot.used, slot.number))
    if not shares:
        return Placement(sequence, oldest.number, source=oldest.number, cached=0, invariant=0)
    shared = {slot.number: slot.shared_tokens(sequence) for slot in slots}
    reusable = {slot.number: min(shared[slot.number], slot.usable(sequence)) for slot in slots}
    best = max(slots, key=lambda slot: (reusable[slot.number], slot.is_idle))
    expected = max((shared[slot.number] for slot in slots if slot.will_serve(sequence)), default=0)
    if expected - reusable[best.number] >= WORTH_COPYING:
        return None
    lost = best.computed - reusable[best.number]
    if best.is_idle and lost <= min(reusable[best.number], WORTH_COPYING):
        # Like the next turn of a conversation, it continues where the slot's last sequence ended, or nearly.
        target = source = best
    else:
        target, source = oldest, best if reusable[best.number] >= WORTH_COPYING else oldest
    cached = reusable[source.number]
    return Placement(
        sequence, target.number, source=source.number, cached=cached, invariant=min(cached, source.invariant)
    )


def shared_prefix(one: list[int], other: list[int], limit: int) -> int:
    """The number of equal tokens at the beginning, at most `limit`. Bisects, since slices compare at the speed of C."""
    low, high = 0, min(len(one), len(other), limit)
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
