"""Steps 4 to 7 of the order: from logits to the weights of the tokens that may be drawn."""

import math

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import Candidates, Indices, Values, first_above, largest, peak

NEGLIGIBLE = -50.0  # an exponent
COLD = 1e-6  # a temperature
FEW = 1024  # candidates, for which float64 costs no more than a microsecond or two

# The radix selection of top_p; the sizes are where it was measured to pay.
SORTED_AT_ONCE = 1024
RADIX_SHIFT = 17
PIECE = 2**14


class TopK:
    """Step 5: the `count` largest logits; ties at the edge go to the lower id."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, candidates: Candidates, /) -> Candidates:
        return candidates.at(largest(candidates.values, self._count))


class Softmax:
    """Step 4: logits to weights exp((logit − largest) / temperature).

    Candidates whose weight is below exp(`least`) are dropped where they are most of many: by default the whole
    vocabulary of them together is 1e-16 of the distribution. Few candidates are weighed in float64. Many are
    weighed in float32, which is several times faster and moves the cumulative distribution by less than 1e-6.
    """

    def __init__(self, temperature: float, least: float = NEGLIGIBLE) -> None:
        self._temperature = temperature
        self._least = least

    def __call__(self, candidates: Candidates, /) -> Candidates:
        top = peak(candidates.values)
        near = candidates if len(candidates.values) <= FEW else self._near(candidates, top)
        return Candidates(near.ids, self._weigh(near.values, top))

    def _near(self, candidates: Candidates, top: float) -> Candidates:
        logits = candidates.values
        # Rounding to the row's own type is monotone, so it drops no logit that reaches the exact bound.
        near = logits >= logits.dtype.type(top + self._temperature * self._least)
        return candidates.at(np.flatnonzero(near)) if 2 * np.count_nonzero(near) < len(logits) else candidates

    def _weigh(self, logits: Values, top: float) -> Values:
        # A float32 can't hold the reciprocal of the smallest temperatures.
        wide = len(logits) <= FEW or self._temperature < COLD
        weights: Values = np.subtract(logits, top, dtype=np.float64) if wide else self._below(logits, top)
        # Dividing differences, none of them positive, overflows to −inf at worst, whose weight is 0.
        if self._temperature != 1:
            weights /= self._temperature
        return np.exp(weights, out=weights)

    def _below(self, logits: Values, top: float) -> Values:
        weights: Values = np.empty(len(logits), np.float32)
        # The largest rounded to less than its logit's precision would not be 0 below it, nor its weight 1.
        return np.subtract(logits, logits.dtype.type(top), out=weights, casting="same_kind")


class TopP:
    """Step 6: the smallest set of most probable tokens whose share exceeds `share`; the others weigh 0.

    Tokens are taken in order of weight, then id. A share of 0 keeps one token.
    """

    def __init__(self, share: float) -> None:
        self._share = share

    def __call__(self, candidates: Candidates, /) -> Candidates:
        weights = candidates.values
        if len(weights) <= SORTED_AT_ONCE:
            weights[beyond_nucleus(weights, self._share)] = 0
            return candidates
        edge, count_at_edge = nucleus_edge(weights, self._share)
        weights *= weights >= edge
        ties = np.flatnonzero(weights == edge)
        weights[ties[count_at_edge:]] = 0
        return candidates


class MinP:
    """Step 7: tokens less probable than `ratio` times the most probable one weigh 0.

    The most probable token outlives top_p, so filtering after it gives the intersection of both.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    @property
    def least(self) -> float:
        """The exponent below which every weight is discarded, with room for rounding."""
        return max(math.log(self._ratio) - 1e-6, NEGLIGIBLE)

    def __call__(self, candidates: Candidates, /) -> Candidates:
        weights = candidates.values
        weights *= weights >= self._ratio
        return candidates


def beyond_nucleus(weights: Values, share: float) -> Indices:
    """The indices of those outside it; found fastest by sorting them all where they are few."""
    order = (-weights).argsort(kind="stable")
    cumulative = np.add.accumulate(weights[order], dtype=np.float64)
    return order[first_above(cumulative, share * cumulative[-1]) + 1 :]


def nucleus_edge(weights: Values, share: float) -> tuple[float, int]:
    """The smallest weight in the nucleus of many, and how many tokens of exactly that weight belong to it."""
    total = float(weights.sum(dtype=np.float64))
    mass = share * total
    weights = without_tail(weights, total - mass)
    if len(weights) > SORTED_AT_ONCE:
        weights, mass = edge_bin(weights, mass)
    ordered = np.sort(weights)[::-1]
    last = first_above(ordered.cumsum(dtype=np.float64), mass)
    edge = ordered[last]
    return float(edge), last + 1 - int(np.count_nonzero(ordered > edge))


def without_tail(weights: Values, slack: float) -> Values:
    """Leaves out weights below the mean share of `slack`: all of them together can't weigh as much as it.

    Returns the weights as they are where that would not shrink them much.
    """
    above = weights >= slack / len(weights)
    return weights if 4 * np.count_nonzero(above) > len(weights) else weights[np.flatnonzero(above)]


def edge_bin(weights: Values, mass: float) -> tuple[Values, float]:
    """One round of a radix selection by weight: the bin in which the cumulative weight, largest first, exceeds
    `mass`, and the part of `mass` that is left when the bins above it are taken.

    The bit pattern of a float grows with it, so its top bits are a histogram's bins, 64 to each power of two.
    """
    bins = weights.astype(np.float32, copy=False).view(np.uint32) >> np.uint32(RADIX_SHIFT)
    bins -= bins.min()
    masses = histogram(bins, weights)
    cumulative = masses[::-1].cumsum()
    place = first_above(cumulative, mass)
    before = float(cumulative[place - 1]) if place else 0.0
    return weights[np.flatnonzero(bins == len(masses) - 1 - place)], mass - before


def histogram(bins: NDArray[np.uint32], weights: Values) -> NDArray[np.float64]:
    """The weight in each bin. Taken piece by piece, as bincount makes wide copies of what it is given."""
    masses = np.zeros(int(bins.max()) + 1)
    for start in range(0, len(bins), PIECE):
        piece = slice(start, start + PIECE)
        masses += np.bincount(bins[piece], weights[piece], minlength=len(masses))
    return masses
