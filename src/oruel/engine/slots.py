"""Where a sequence runs and whose computed tokens it takes over. Pure: contents of slots in, a placement out.

A slot holds one sequence's cells, in order of position. One that runs nothing keeps its cells as a prefix cache
until they are the least recently used.
"""

from collections.abc import Sequence as Ordered
from dataclasses import dataclass

from oruel.engine.sequence import Sequence

# Copying a slot costs about as much as computing some dozens of tokens, whatever the part of it that is shared.
WORTH_COPYING = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """`computed` of the `tokens` have their cells here: all of them where it is idle, and where a sequence runs as
    many as it has come to; the first `invariant` of them were computed in batch-invariant shapes, and the rest will be
    where the sequence is `reproducible`. `used` is the step in which it last ran something.
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
        """How many of its first tokens a sequence that begins alike may take over."""
        return self.invariant if sequence.reproducible else self.computed

    def alike(self, sequence: Sequence) -> int:
        """How many of its first tokens are those of a sequence that it may share with."""
        return (
            shared_prefix(self.tokens, sequence.tokens, sequence.known - 1)
            if self.cache_salt == sequence.cache_salt
            else 0
        )

    def will_serve(self, sequence: Sequence) -> bool:
        """Whether all that is still to be computed here may be taken over too."""
        return not self.is_idle and (self.reproducible or not sequence.reproducible)


@dataclass(frozen=True, slots=True)
class Placement:
    """`sequence` will run in `slot`, whose cells beyond the first `cached` are freed; these come from `source`,
    which is another slot or the same, and `invariant` of them were computed in batch-invariant shapes.
    """

    sequence: Sequence
    slot: int
    source: int
    cached: int
    invariant: int


def place(sequence: Sequence, slots: Ordered[Slot], *, shares: bool = True) -> Placement | None:
    """None where it is better to wait: a running sequence is about to compute a prefix that can then be copied.

    At least one slot is idle. The last known token is always computed anew, since its logits are wanted.
    """
    oldest = min((slot for slot in slots if slot.is_idle), key=lambda slot: (slot.used, slot.number))
    if not shares:
        return Placement(sequence, oldest.number, oldest.number, 0, 0)
    alike = {slot.number: slot.alike(sequence) for slot in slots}
    held = {slot.number: min(alike[slot.number], slot.usable(sequence)) for slot in slots}
    best = max(slots, key=lambda slot: (held[slot.number], slot.is_idle))
    coming = max((alike[slot.number] for slot in slots if slot.will_serve(sequence)), default=0)
    if coming - held[best.number] >= WORTH_COPYING:
        return None
    lost = best.computed - held[best.number]
    if best.is_idle and lost <= min(held[best.number], WORTH_COPYING):
        # It goes on where the slot's last sequence ended, or nearly, as the next turn of a conversation does.
        target = source = best
    else:
        target, source = oldest, best if held[best.number] >= WORTH_COPYING else oldest
    cached = held[source.number]
    return Placement(sequence, target.number, source.number, cached, min(cached, source.invariant))


def shared_prefix(one: list[int], other: list[int], limit: int) -> int:
    """How many tokens both begin with, at most `limit`; by halving, since slices compare at the speed of C."""
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
