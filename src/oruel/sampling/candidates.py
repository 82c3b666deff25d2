"""The tokens still in the running, and the three searches that every step is built from."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

BLOCK, SMALL_BLOCK = 64, 16
ENOUGH_BLOCKS = 256


@dataclass(frozen=True, slots=True)
class Candidates:
    """`values` are logits up to the softmax and weights after it: proportional to probability, the largest is 1.

    `ids` holds the token of each value, ascending; None means the whole vocabulary, where the index is the id.
    A float32 row of logits belongs to the model and is never written to; every other array is the sampler's own.
    """

    ids: Indices | None
    values: Values

    def at(self, indices: Indices) -> "Candidates":
        """The candidates at `indices`, which ascend."""
        return Candidates(indices if self.ids is None else self.ids[indices], self.values[indices])

    def id(self, index: int) -> int:
        return index if self.ids is None else int(self.ids[index])


class Step(Protocol):
    def __call__(self, candidates: Candidates, /) -> Candidates: ...


def largest(values: Values, count: int) -> Indices:
    """Indices of the `count` largest values, ascending; ties at the edge go to the lower index. No NaN."""
    if len(values) <= count:
        return np.arange(len(values))
    near = np.flatnonzero(values >= reached_by(values, count))
    nearest = values[near]
    edge = np.partition(nearest, -count)[-count]
    kept = nearest >= edge
    surplus = np.count_nonzero(kept) - count
    if surplus:
        kept[np.flatnonzero(nearest == edge)[-surplus:]] = False
    indices: Indices = near[kept]
    return indices


def reached_by(values: Values, count: int) -> np.floating[Any]:
    """A value that at least `count` values reach, and in a row of many more few more than that.

    It is the maximum of a block, reached by `count` blocks. Maxima over a strided axis are one vectorised pass, much
    cheaper than partitioning the row.
    """
    width = BLOCK if len(values) >= BLOCK * ENOUGH_BLOCKS else SMALL_BLOCK
    blocks = len(values) // width
    if blocks >= count:
        values = values[: blocks * width].reshape(width, blocks).max(axis=0)
    bound: np.floating[Any] = np.partition(values, -count)[-count]
    return bound


def first_above(cumulative: NDArray[np.float64], mass: float) -> int:
    """Index at which a cumulative sum first exceeds `mass`; where rounding leaves none, its last increase.

    The sum increases at the index returned, so what has no weight is never found.
    """
    below_total = math.nextafter(cumulative[-1], 0.0)
    return int(cumulative.searchsorted(min(mass, below_total), side="right"))
