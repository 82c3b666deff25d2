"""Two systems measured in turn: how many times better one is, round by round, and how sure that is."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, and an interval that holds the true median with 90% confidence."""

    median: float
    low: float
    high: float


def ratio(better_if_large: Sequence[float], than: Sequence[float]) -> Ratio:
    """Ratios of two columns, a round each; none of `than` is 0.

    The interval lies between two order statistics: with n rounds, the kth smallest and the kth largest enclose the
    true median with probability 1 − 2·P(Binomial(n, ½) < k), whatever the distribution. Under five rounds it is the
    whole range, which is less than 90% sure.
    """
    ratios = sorted(one / other for one, other in zip(better_if_large, than, strict=True))
    left_out = outer(len(ratios))
    return Ratio(statistics.median(ratios), ratios[left_out], ratios[-1 - left_out])


def outer(rounds: int) -> int:
    """How many ratios at either end may be left out of the interval."""
    left_out = 0
    while 2 * tail(rounds, left_out + 1) <= 1 - CONFIDENCE:
        left_out += 1
    return left_out


def tail(rounds: int, count: int) -> float:
    """The probability that at most `count` of so many fair coins show heads."""
    return float(sum(math.comb(rounds, heads) for heads in range(count + 1)) / 2**rounds)
