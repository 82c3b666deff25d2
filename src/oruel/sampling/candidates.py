"""The candidate tokens, and the searches that the sampling steps are built from."""

import math
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

BLOCK, SMALL_BLOCK = 64, 16
FEW = 1024  # up to this many values, a plain partition is fastest
ENOUGH_BLOCKS = 256
SORTED_AT_ONCE = 256  # up to this many values, sorting all of them is fastest
FEW_BLOCKS = 8  # if fewer than one in FEW_BLOCKS blocks can matter, the others are skipped


class Candidates(msgspec.Struct, frozen=True):
    """`values` are logits before the softmax and weights after it: proportional to the probabilities, with a maximum of
    1.

    `ids` are the tokens of the values, ascending; None means the whole vocabulary, where the index is the id. A float32
    row of logits belongs to the model and is never modified; every other array belongs to the sampler.
    """

    ids: Indices | None
    values: Values

    def at(self, indices: Indices) -> "Candidates":
        """The candidates at `indices`, which ascend."""
        return Candidates(indices if self.ids is None else self.ids[indices], self.values[indices])

    def places(self, tokens: Indices) -> tuple[Indices, Indices | slice]:
        """The indices of those `tokens` that are candidates, and a selection of these tokens."""
        if self.ids is None:
            return tokens, slice(None)
        places = np.searchsorted(self.ids, tokens)
        places[places == len(self.ids)] = 0
        found = np.flatnonzero(self.ids[places] == tokens)
        return places[found], found

    def id(self, index: int) -> int:
        return index if self.ids is None else int(self.ids[index])


class SamplingStep(Protocol):
    def __call__(self, candidates: Candidates, /) -> Candidates: ...


def peak(values: Values) -> float:
    """The maximum, NaN if any value is NaN. For few values, NumPy's `max` takes three times as long."""
    return float(values[values.argmax()])


def largest(values: Values, count: int) -> Indices:
    """The indices of the `count` largest values, ascending; ties at the edge go to the lower index. No value is NaN."""
    if len(values) <= count:
        return np.arange(len(values))
    if len(values) <= FEW:
        return select_largest(values, np.arange(len(values)), count)
    maxima = block_maxima(values)
    bound = smallest_of_largest(maxima if len(maxima) >= count else values, count)
    if count * FEW_BLOCKS > len(maxima):
        return select_largest(values, (values >= bound).nonzero()[0], count)
    return select_largest(values, indices_reaching(values, maxima, bound), count)


def select_largest(values: Values, near: Indices, count: int) -> Indices:
    """The indices of the `count` largest values, all of which are among `near`, which ascends."""
    nearest = values[near]
    if len(near) <= SORTED_AT_ONCE:
        order = (-nearest).argsort(kind="stable")[:count]
        order.sort()
        return near[order]
    edge = smallest_of_largest(nearest, count)
    kept = nearest >= edge
    surplus = np.count_nonzero(kept) - count
    if surplus:
        kept[np.flatnonzero(nearest == edge)[-surplus:]] = False
    indices: Indices = near[kept]
    return indices


def smallest_of_largest(values: Values, count: int) -> np.floating[Any]:
    """The value with rank `count`, counted from the largest."""
    ordered = values.copy()
    ordered.partition(len(values) - count)
    value: np.floating[Any] = ordered[-count]
    return value


def block_maxima(values: Values) -> Values:
    """The maximum of each block. Block j holds every value whose index is j modulo the number of blocks; a few values
    at the end belong to none.

    Maxima along a strided axis are one vectorised pass. At least n values reach the nth largest maximum, and in a long
    row only a few more do, so this bound is much cheaper to find than by partitioning the row.
    """
    width = BLOCK if len(values) >= BLOCK * ENOUGH_BLOCKS else SMALL_BLOCK
    blocks = len(values) // width
    maxima: Values = np.maximum.reduce(values[: width * blocks].reshape(width, blocks))
    return maxima


def indices_reaching(values: Values, maxima: Values, bound: np.floating[Any]) -> Indices:
    """The indices of the values >= `bound`, ascending. `maxima` are those of the blocks."""
    blocks = len(maxima)
    columns = (maxima >= bound).nonzero()[0]
    if len(columns) * FEW_BLOCKS > blocks:
        return (values >= bound).nonzero()[0]
    inside = len(values) // blocks * blocks
    grid = values[:inside].reshape(-1, blocks)
    rows, places = np.divmod(np.flatnonzero(grid.take(columns, axis=1) >= bound), len(columns))
    found: Indices = rows * blocks + columns[places]
    if inside == len(values):
        return found
    return np.concatenate([found, inside + np.flatnonzero(values[inside:] >= bound)])


def first_above(cumulative: NDArray[np.float64], mass: float) -> int:
    """The index at which a cumulative sum first exceeds `mass`, or its last increase if rounding leaves none.

    The sum increases at the returned index, so a value without weight is never found.
    """
    below_total = math.nextafter(cumulative[-1], 0.0)
    return int(cumulative.searchsorted(min(mass, below_total), side="right"))
