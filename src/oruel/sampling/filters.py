"""Steps 4 to 7 of the order: from logits to the weights of the tokens that may be drawn."""

import math

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import Candidates, Indices, Values, first_above, largest, peak

NEGLIGIBLE = -50.0  # the exponent of a negligible weight
MIN_FLOAT32_TEMPERATURE = 1e-6  # the lowest temperature for float32
FEW = 1024  # up to this many candidates, float64 costs only a microsecond or two

# The radix selection of top_p; the sizes were measured.
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
    """Step 4: logits to weights exp((logit − maximum) / temperature).

    Candidates whose weight is below exp(`least`) are dropped if they are the majority: by default, the whole vocabulary
    of them together is 1e-16 of the distribution. A few candidates are computed in float64. Many are computed in
    float32, which is several times faster and changes the cumulative distribution by less than 1e-6.
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
        # Rounding to the row's type is monotone, so it drops no logit that reaches the exact bound.
        near = logits >= logits.dtype.type(top + self._temperature * self._least)
        return candidates.at(np.flatnonzero(near)) if 2 * np.count_nonzero(near) < len(logits) else candidates

    def _weigh(self, logits: Values, top: float) -> Values:
        # A float32 can't hold the reciprocal of the lowest temperatures.
        wide = len(logits) <= FEW or self._temperature < MIN_FLOAT32_TEMPERATURE
        weights: Values = np.subtract(logits, top, dtype=np.float64) if wide else self._below(logits, top)
        # The differences are not positive, so dividing overflows to −inf at worst, whose weight is 0.
        if self._temperature != 1:
            weights /= self._temperature
        return np.exp(weights, out=weights)

    def _below(self, logits: Values, top: float) -> Values:
        weights: Values = np.empty(len(logits), np.float32)
        # Rounding the maximum below its logit's precision would give it a weight other than 1.
        return np.subtract(logits, logits.dtype.type(top), out=weights, casting="same_kind")


class TopP:
    """Step 6: keeps the smallest set of most probable tokens whose share exceeds `share`; the others get weight 0.

    The order is by weight, then by id. A share of 0 keeps one token.
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
    """Step 7: tokens less probable than `ratio` times the most probable one get weight 0.

    The most probable token always survives top_p, so filtering after it gives the intersection of both.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    @property
    def least(self) -> float:
        """The exponent below which every weight will be dropped, with a margin for rounding."""
        return max(math.log(self._ratio) - 1e-6, NEGLIGIBLE)

    def __call__(self, candidates: Candidates, /) -> Candidates:
        weights = candidates.values
        weights *= weights >= self._ratio
        return candidates


def beyond_nucleus(weights: Values, share: float) -> Indices:
    """The indices outside the nucleus. For few weights, sorting all of them is fastest."""
    order = (-weights).argsort(kind="stable")
    cumulative = np.add.accumulate(weights[order], dtype=np.float64)
    return order[first_above(cumulative, share * cumulative[-1]) + 1 :]


def nucleus_edge(weights: Values, share: float) -> tuple[float, int]:
    """The smallest weight in the nucleus, and how many tokens of exactly that weight belong to it."""
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
    """Leaves out weights below the mean share of `slack`: all of them together can't reach it.

    Returns the weights unchanged if that would not remove many.
    """
    above = weights >= slack / len(weights)
    return weights if 4 * np.count_nonzero(above) > len(weights) else weights[np.flatnonzero(above)]


def edge_bin(weights: Values, mass: float) -> tuple[Values, float]:
    """One round of a radix selection by weight: the bin in which the cumulative weight, largest first, exceeds `mass`,
    and the part of `mass` that remains after the bins above it.

    The bit pattern of a positive float grows with its value, so its top bits are the bins of a histogram, 64 per power
    of two.
    """
    bins = weights.astype(np.float32, copy=False).view(np.uint32) >> np.uint32(RADIX_SHIFT)
    bins -= bins.min()
    masses = histogram(bins, weights)
    cumulative = masses[::-1].cumsum()
    place = first_above(cumulative, mass)
    before = float(cumulative[place - 1]) if place else 0.0
    return weights[np.flatnonzero(bins == len(masses) - 1 - place)], mass - before


def histogram(bins: NDArray[np.uint32], weights: Values) -> NDArray[np.float64]:
    """The weight in each bin. Works in pieces, since bincount makes wide copies of its input."""
    masses = np.zeros(int(bins.max()) + 1)
    for start in range(0, len(bins), PIECE):
        piece = slice(start, start + PIECE)
        masses += np.bincount(bins[piece], weights[piece], minlength=len(masses))
    return masses
