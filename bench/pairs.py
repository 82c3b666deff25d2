"""Statistics of two systems measured in turn: the ratio in each round, and its confidence interval."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, and its 90% confidence interval."""

    median: float
    low: float
    high: float


def ratio(better_if_large: Sequence[float], than: Sequence[float]) -> Ratio:
    """The ratio of two columns with one value per round. No value of `than` is 0.

    The interval lies between two order statistics: with n rounds, the kth smallest and the kth largest enclose the
    true median with probability 1 − 2·P(Binomial(n, ½) < k), for any distribution. With fewer than five rounds, the
    interval is the whole range, with less than 90% confidence.
    """
    ratios = sorted(one / other for one, other in zip(better_if_large, than, strict=True))
    excluded = excluded_ends(len(ratios))
    return Ratio(statistics.median(ratios), ratios[excluded], ratios[-1 - excluded])


def excluded_ends(rounds: int) -> int:
    """How many ratios at each end the interval excludes."""
    excluded = 0
    while 2 * binomial_tail(rounds, excluded + 1) <= 1 - CONFIDENCE:
        excluded += 1
    return excluded


def binomial_tail(rounds: int, count: int) -> float:
    """The probability of at most `count` heads in `rounds` tosses of a fair coin."""
    return float(sum(math.comb(rounds, heads) for heads in range(count + 1)) / 2**rounds)
