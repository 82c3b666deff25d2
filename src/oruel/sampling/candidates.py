"""The tokens still in the running, and the three searches that every step is built from."""

import math
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

BLOCK, SMALL_BLOCK = 64, 16
FEW = 1024  # values, which are partitioned as they are
ENOUGH_BLOCKS = 256
SORTED_AT_ONCE = 256  # values at most, of which the largest are found fastest by sorting them all
FEW_BLOCKS = 8  # where fewer than one in so many blocks matter, the others are not looked at again


class Candidates(msgspec.Struct, frozen=True):
    """`values` are logits up to the softmax and weights after it: proportional to probability, the largest is 1.

    `ids` holds the token of each value, ascending; None means the whole vocabulary, where the index is the id.
    A float32 row of logits belongs to the model and is never written to; every other array is the sampler's own.
    """

    ids: Indices | None
    values: Values

    def at(self, indices: Indices) -> "Candidates":
        """The candidates at `indices`, which ascend."""
        return Candidates(indices if self.ids is None else self.ids[indices], self.values[indices])

    def places(self, tokens: Indices) -> tuple[Indices, Indices | slice]:
        """The index of each token that is a candidate, and which of `tokens` these are."""
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
    """The largest, NaN where one is. Over few values `max` takes three times as long."""
    return float(values[values.argmax()])


def largest(values: Values, count: int) -> Indices:
    """Indices of the `count` largest values, ascending; ties at the edge go to the lower index. No NaN."""
    if len(values) <= count:
        return np.arange(len(values))
    if len(values) <= FEW:
        return chosen(values, np.arange(len(values)), count)
    maxima = block_maxima(values)
    bound = smallest_of_largest(maxima if len(maxima) >= count else values, count)
    if count * FEW_BLOCKS > len(maxima):
        return chosen(values, (values >= bound).nonzero()[0], count)
    return chosen(values, reaching(values, maxima, bound), count)


def chosen(values: Values, near: Indices, count: int) -> Indices:
    """Those of the `count` largest, all of them among `near`, which ascends."""
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
    """The `count`th largest value."""
    ordered = values.copy()
    ordered.partition(len(values) - count)
    value: np.floating[Any] = ordered[-count]
    return value


def block_maxima(values: Values) -> Values:
    """The largest value of each block, of which block j holds every value at an index of j modulo their number; a few
    values at the row's end belong to none.

    Maxima over a strided axis are one vectorised pass. The nth largest of them is reached by n values at least, and
    in a row of many more by few more than n, which is much cheaper to find than by partitioning the row.
    """
    width = BLOCK if len(values) >= BLOCK * ENOUGH_BLOCKS else SMALL_BLOCK
    blocks = len(values) // width
    maxima: Values = np.maximum.reduce(values[: width * blocks].reshape(width, blocks))
    return maxima


def reaching(values: Values, maxima: Values, bound: np.floating[Any]) -> Indices:
    """Indices of the values that are `bound` at least, ascending; `maxima` are the blocks'."""
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
    """Index at which a cumulative sum first exceeds `mass`; where rounding leaves none, its last increase.

    The sum increases at the index returned, so what has no weight is never found.
    """
    below_total = math.nextafter(cumulative[-1], 0.0)
    return int(cumulative.searchsorted(min(mass, below_total), side="right"))
