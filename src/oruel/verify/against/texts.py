"""Texts of two endpoints that should be equal: how far they go together, and how often they part."""

import re
from dataclasses import dataclass

from oruel.verify.statistics import RatioTest

# Arithmetic in another order moves a few of the closest decisions. At most this share of the pieces may part: with
# Llama 3 8B, 8-bit weights change 2.3 % of the most probable tokens, and 4-bit weights (q4_K_M) 8.1 %
# (tools/perplexity/README.md of llama.cpp).
TOLERANCE = 0.025
PARTING_RATES = {"one word in 12 differs": 0.08, "one word in 4 differs": 0.25, "most words differ": 0.7}


def pieces(text: str) -> list[str]:
    """Words with the white space before them, and marks."""
    return re.findall(r"\s*\w+|\s*[^\w\s]|\s+", text)


@dataclass(frozen=True, slots=True)
class Parting:
    """Two texts have `together` pieces in common before they part, if they do."""

    together: int
    parts: bool


def parting(one: str, other: str, cut: bool = False) -> Parting:
    """`cut`: max_tokens has ended the shorter text, so that its end is no difference."""
    ours, theirs = pieces(one), pieces(other)
    shorter = min(len(ours), len(theirs))
    together = next((i for i in range(shorter) if ours[i] != theirs[i]), shorter)
    if cut and together >= shorter - 1:
        # The last piece may be cut too.
        return Parting(min(together, shorter), parts=False)
    return Parting(together, parts=one != other)


def parting_test(alpha: float) -> RatioTest:
    """Whether texts part more often than TOLERANCE allows, by piece: after they have parted, nothing is compared. The
    likelihood ratio of a higher rate to TOLERANCE is conservative for every rate below it.
    """
    return RatioTest(tuple(PARTING_RATES), alpha)


def observe_parting(test: RatioTest, found: Parting) -> None:
    for parts in [False] * found.together + [True] * found.parts:
        null, others = (TOLERANCE, PARTING_RATES) if parts else (1 - TOLERANCE, complements(PARTING_RATES))
        test.observe(null, others)


def complements(rates: dict[str, float]) -> dict[str, float]:
    return {name: 1 - rate for name, rate in rates.items()}
