"""First-token distributions under filters, and under the mistakes that servers make, from the model's own probabilities
of the most probable tokens. Whatever the listed tokens lack to 1 belongs to unlisted tokens, none of them more probable
than the least listed one. A filter that would have to know unlisted tokens returns its input unchanged.
"""

import math
from collections.abc import Callable, Mapping

Probabilities = Mapping[str, float]

# Listed tokens that cover so much are all there are: reported log-probabilities are rounded.
ALL = 1 - 1e-6


def at_temperature(base: Probabilities, temperature: float) -> dict[str, float]:
    """softmax(log p / T). Counts the unlisted rest as tokens of the least listed probability, which is an upper bound
    of their mass below T = 1, and a lower one above: there, only ratios of listed tokens are known.
    """
    least, most = min(base.values()), max(base.values())
    # Over the most probable one's weight, which doesn't underflow.
    weights = {token: (p / most) ** (1 / temperature) for token, p in base.items()}
    rest = max(0.0, 1 - covered(base)) / least * (least / most) ** (1 / temperature)
    total = math.fsum(weights.values()) + rest
    return {token: weight / total for token, weight in weights.items()}


def top_k(probabilities: Probabilities, count: int) -> dict[str, float]:
    if count > len(probabilities):
        return dict(probabilities)
    return keep(probabilities, ranked(probabilities)[:count])


def top_p(probabilities: Probabilities, share: float, more: int = 0) -> dict[str, float]:
    """The smallest set of most probable tokens whose probability exceeds `share`. `more` adds that many tokens to it,
    or takes them away, for servers that are off by one.
    """
    size = nucleus_size(probabilities, share)
    return dict(probabilities) if size is None else keep(probabilities, ranked(probabilities)[: max(1, size + more)])


def nucleus_size(probabilities: Probabilities, share: float) -> int | None:
    """None if the nucleus reaches beyond the listed tokens."""
    mass = 0.0
    for size, token in enumerate(ranked(probabilities), 1):
        mass += probabilities[token]
        if mass > share:
            return size
    return len(probabilities) if mass > ALL else None


def min_p(probabilities: Probabilities, ratio: float) -> dict[str, float]:
    return at_least(probabilities, ratio * max(probabilities.values()))


def at_least(probabilities: Probabilities, bound: float) -> dict[str, float]:
    """What min_p is not: a bound for the probability itself. The most probable token survives."""
    if bound <= min(probabilities.values()) and covered(probabilities) < ALL:
        return dict(probabilities)
    best = ranked(probabilities)
    return keep(probabilities, [best[0], *(token for token in best[1:] if probabilities[token] >= bound)])


def intersection(probabilities: Probabilities, *filters: Callable[[Probabilities], Probabilities]) -> dict[str, float]:
    """What survives all filters, each applied to the same probabilities."""
    survivors = [one(probabilities) for one in filters]
    kept = [token for token in probabilities if all(token in one for one in survivors)]
    return keep(probabilities, kept) if len(kept) < len(probabilities) else dict(probabilities)


def ranked(probabilities: Probabilities) -> list[str]:
    return sorted(probabilities, key=lambda token: -probabilities[token])


def covered(probabilities: Probabilities) -> float:
    return math.fsum(probabilities.values())


def keep(probabilities: Probabilities, kept: list[str]) -> dict[str, float]:
    total = math.fsum(probabilities[token] for token in kept)
    return {token: probabilities[token] / total for token in kept}
