"""First-token distributions under filters, and under the mistakes that servers make. Computed from the model's own
probabilities of the most probable tokens; whatever those don't cover is OTHER.
"""

import math
from collections.abc import Callable, Mapping

Probabilities = Mapping[str, float]


def at_temperature(base: Probabilities, temperature: float, unlisted: float = 0.0) -> dict[str, float]:
    """softmax(log p / T). The unlisted rest is at most `unlisted` tokens of the least listed probability."""
    weights = {token: p ** (1 / temperature) for token, p in base.items()}
    rest = unlisted * min(base.values()) ** (1 / temperature)
    total = math.fsum(weights.values()) + rest
    return {token: weight / total for token, weight in weights.items()}


def ranked(probabilities: Probabilities) -> list[str]:
    return sorted(probabilities, key=lambda token: -probabilities[token])


def keep(probabilities: Probabilities, kept: Callable[[str], bool]) -> dict[str, float]:
    left = {token: p for token, p in probabilities.items() if kept(token)}
    total = math.fsum(left.values())
    return {token: p / total for token, p in left.items()}


def top_k(probabilities: Probabilities, count: int) -> dict[str, float]:
    best = set(ranked(probabilities)[:count])
    return keep(probabilities, best.__contains__)


def top_p(probabilities: Probabilities, share: float, mass: float = 1.0) -> dict[str, float]:
    """The smallest set of most probable tokens whose probability exceeds `share` of `mass`."""
    nucleus: set[str] = set()
    covered = 0.0
    for token in ranked(probabilities):
        nucleus.add(token)
        covered += probabilities[token]
        if covered > share * mass:
            break
    return keep(probabilities, nucleus.__contains__)


def min_p(probabilities: Probabilities, ratio: float) -> dict[str, float]:
    bound = ratio * max(probabilities.values())
    return keep(probabilities, lambda token: probabilities[token] >= bound)
