"""A reference sampler: semantics.md, "The order", step by step in plain Python and float64. Slow, but obviously right.

It also reports whether a decision is firm, since the fast path may differ within 1e-6 of a boundary.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from oruel.types import SamplingParams

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Decision:
    """`probability`: the probability of each token that may be drawn, by ascending id.

    `acceptable`: the token, and others whose interval of [0, 1) is within the tolerance of u.
    `firm`: no token is within the tolerance of being kept or discarded by top_k, top_p or min_p.
    """

    token: int
    probability: dict[int, float]
    acceptable: frozenset[int]
    firm: bool


def decide(row: Sequence[float], params: SamplingParams, choice: int, output: Sequence[int]) -> Decision:
    """The decision for the token after `output`, given a row of logits."""
    logits = apply_penalties(apply_bias(row, params), params, output)
    ranked = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    if params.temperature == 0 or params.top_k == 1 or params.top_p == 0:
        return Decision(ranked[0], {ranked[0]: 1.0}, frozenset(ranked[:1]), firm=True)
    ranked, firm_top_k = top_k(logits, ranked, params.top_k)
    probability = softmax(logits, ranked, params.temperature)
    survivors, firm_top_p = top_p(logits, probability, ranked, params.top_p)
    survivors, firm_min_p = min_p(probability, survivors, params.min_p)
    total = math.fsum(probability[token] for token in survivors)
    probability = {token: probability[token] / total for token in sorted(survivors)}
    token, acceptable = invert(probability, uniform(params.seed, choice, len(output)))
    return Decision(token, probability, acceptable, firm_top_k and firm_top_p and firm_min_p)


def apply_bias(row: Sequence[float], params: SamplingParams) -> list[float]:
    return [logit + params.logit_bias.get(token, 0.0) for token, logit in enumerate(row)]


def apply_penalties(logits: list[float], params: SamplingParams, output: Sequence[int]) -> list[float]:
    logits = list(logits)
    for token, count in Counter(output).items():
        logit = logits[token]
        logit = logit / params.repetition_penalty if logit > 0 else logit * params.repetition_penalty
        logits[token] = logit - (params.frequency_penalty * count + params.presence_penalty)
    return logits


def softmax(logits: list[float], kept: list[int], temperature: float) -> dict[int, float]:
    """Subtracts the largest logit first, which prevents overflow and doesn't change the result."""
    peak = logits[kept[0]]
    weights = {token: math.exp((logits[token] - peak) / temperature) for token in kept}
    total = math.fsum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def top_k(logits: list[float], ranked: list[int], most: int) -> tuple[list[int], bool]:
    """The first `most` of `ranked`; 0 skips the step. Equal logits are firm; almost equal ones aren't."""
    if most == 0 or most >= len(ranked):
        return ranked, True
    last, next_one = logits[ranked[most - 1]], logits[ranked[most]]
    return ranked[:most], last == next_one or last - next_one > TOLERANCE


def top_p(
    logits: list[float], probability: dict[int, float], ranked: list[int], share: float
) -> tuple[list[int], bool]:
    """The smallest prefix of `ranked` whose cumulative probability exceeds the share; 1 skips the step."""
    if share == 1:
        return ranked, True
    cumulative = list(accumulate(probability[token] for token in ranked))
    size = next((size for size, mass in enumerate(cumulative, 1) if mass > share), len(ranked))
    bound = probability[ranked[size - 1]]
    tied = [token for token in ranked if abs(probability[token] - bound) <= TOLERANCE * bound]
    equal = len({logits[token] for token in tied}) == 1
    firm = all(abs(mass - share) > TOLERANCE for mass in cumulative) and (equal or set(tied) <= set(ranked[:size]))
    return ranked[:size], firm


def min_p(probability: dict[int, float], survivors: list[int], ratio: float) -> tuple[list[int], bool]:
    bound = ratio * max(probability[token] for token in survivors)
    kept = [token for token in survivors if probability[token] >= bound]
    on_edge = [token for token in survivors if abs(probability[token] - bound) <= TOLERANCE * bound]
    return kept, ratio == 0 or all(probability[token] == probability[survivors[0]] for token in on_edge)


def invert(probability: dict[int, float], u: float) -> tuple[int, frozenset[int]]:
    """The token whose interval contains u, and all tokens whose interval is within the tolerance of u."""
    edges = pairwise(accumulate(probability.values(), initial=0.0))
    intervals = [(token, low, high) for token, (low, high) in zip(probability, edges, strict=True) if low < high]
    token = next((token for token, low, high in intervals if low <= u < high), intervals[-1][0])
    near = (token for token, low, high in intervals if low - TOLERANCE <= u <= high + TOLERANCE)
    return token, frozenset([token, *near])


def uniform(seed: int, choice: int, position: int) -> float:
    """Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, in integers."""
    return (philox(position, (seed % 2**64, choice))[0] >> 11) * 2.0**-53


def philox(counter: int, key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x64-10; `counter` is below 2**64."""
    (key0, key1), (word0, word1, word2, word3) = key, (counter, 0, 0, 0)
    for _ in range(10):
        product0, product2 = word0 * 0xD2E7470EE14C6C93, word2 * 0xCA5A826395121157
        word0, word1 = (product2 >> 64) ^ word1 ^ key0, product2 % 2**64
        word2, word3 = (product0 >> 64) ^ word3 ^ key1, product0 % 2**64
        key0, key1 = (key0 + 0x9E3779B97F4A7C15) % 2**64, (key1 + 0xBB67AE8584CAA73B) % 2**64
    return word0, word1, word2, word3
