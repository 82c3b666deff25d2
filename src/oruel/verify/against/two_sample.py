"""Two-sample tests of texts: whether the answers of two endpoints to the same prompts have one distribution.

The statistic is the maximum mean discrepancy (Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A Kernel Two-Sample
Test", Journal of Machine Learning Research 13, 2012), summed over the prompts. Answers to different prompts have
nothing in common, and the kernel compares them place by place, as in Gao, Liang and Guestrin, "Model Equality Testing:
Which Model Is This API Serving?", ICLR 2025. The p-value comes from permutations of the answers to each prompt, so it
is exact whatever the distributions are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from oruel.verify.against.permutations import permutation_p_value
from oruel.verify.against.texts import pieces

Matrix = NDArray[np.float64]

# Answers are compared in so many pieces, of which each weighs half as much as the one before.
LENGTH = 8
WEIGHTS = 0.5 ** np.arange(1, LENGTH + 1)
# An answer that ends has this at all later places.
END = ""
# The power that `detectable_share` is for, and the permutations that estimate the statistic's spread.
POWER, PERMUTATIONS = 0.95, 200


def kernel(texts: Sequence[str]) -> Matrix:
    """The similarities of texts, shape (texts, texts), from 0 to 1: the weighted share of places with equal pieces. The
    diagonal is 0: a text tells nothing by its similarity to itself.
    """
    numbers: dict[str, int] = {}
    rows = [[*pieces(text)[:LENGTH], *[END] * LENGTH][:LENGTH] for text in texts]
    codes = np.array([[numbers.setdefault(piece, len(numbers)) for piece in row] for row in rows])
    alike = (codes[:, None] == codes[None, :]) @ WEIGHTS
    np.fill_diagonal(alike, 0.0)
    return np.asarray(alike)


def discrepancy(kernels: Sequence[Matrix], signs: Sequence[Matrix]) -> Matrix:
    """The sum over the prompts of sᵀKs, shape (permutations,). `signs` has shape (permutations, texts) for each prompt:
    1 for one endpoint and -1 for the other. With as many answers from each, it is the unbiased estimate of the squared
    discrepancy up to constants.
    """
    return np.asarray(sum(((s @ k) * s).sum(axis=1) for k, s in zip(kernels, signs, strict=True)))


def two_sample_p_value(kernels: Sequence[Matrix], level: float, random: np.random.Generator) -> float:
    """The p-value if the first half of each prompt's texts is one endpoint's, the second half the other's."""
    observed = discrepancy(kernels, [one[None] for one in labels(kernels)])[0]
    return permutation_p_value(float(observed), lambda count: permuted(kernels, count, random), level)


def labels(kernels: Sequence[Matrix]) -> list[Matrix]:
    return [np.repeat([1.0, -1.0], len(one) // 2) for one in kernels]


def permuted(kernels: Sequence[Matrix], count: int, random: np.random.Generator) -> Matrix:
    """The statistic of `count` random permutations."""
    return discrepancy(kernels, [random.permuted(np.tile(one, (count, 1)), axis=1) for one in labels(kernels)])


def detectable_share(kernels: Sequence[Matrix], alpha: float, random: np.random.Generator) -> float:
    """About the smallest share of one endpoint's answers that would be noticed with probability POWER if they were
    unlike all others. Above 1 if nothing would be.

    If a share f of m answers is replaced, the statistic grows by m²κf², where κ is the mean similarity of two answers
    to the prompt. That must exceed the critical value by what the statistic varies. At least log₂(1/alpha) answers are
    needed, since k unlike ones all come from one endpoint with probability 2⁻ᵏ.
    """
    normal = NormalDist()
    spread = float(permuted(kernels, PERMUTATIONS, random).std())
    growth = sum(one.sum() / (len(one) * (len(one) - 1)) * (len(one) / 2) ** 2 for one in kernels)
    needed = (normal.inv_cdf(1 - alpha) + normal.inv_cdf(POWER)) * spread
    fewest = math.log2(1 / alpha) / sum(len(one) / 2 for one in kernels)
    return max(fewest, math.sqrt(needed / growth)) if growth > 0 else math.inf


@dataclass
class TwoSampleTest:
    """A test at `looks` sample sizes, each of which gets an equal share of `alpha`. `ours` and `theirs` hold equally
    many answers by prompt.
    """

    alpha: float
    looks: int
    random: Random
    ours: dict[str, list[str]] = field(default_factory=dict)
    theirs: dict[str, list[str]] = field(default_factory=dict)
    p_value: float = 1.0

    def observe(self, prompt: str, ours: Sequence[str], theirs: Sequence[str]) -> None:
        both = min(len(ours), len(theirs))
        self.ours.setdefault(prompt, []).extend(ours[:both])
        self.theirs.setdefault(prompt, []).extend(theirs[:both])

    def look(self) -> bool:
        """Whether the distributions differ, from everything observed so far. `p_value` counts all looks."""
        p_value = two_sample_p_value(self.kernels(), self.alpha / self.looks, self.generator())
        self.p_value = min(self.p_value, 1.0, self.looks * p_value)
        return self.is_rejected

    def detectable_share(self) -> float:
        return detectable_share(self.kernels(), self.alpha / self.looks, self.generator())

    def generator(self) -> np.random.Generator:
        return np.random.default_rng(self.random.getrandbits(64))

    def kernels(self) -> list[Matrix]:
        return [kernel([*ours, *self.theirs[prompt]]) for prompt, ours in self.ours.items() if len(ours) > 1]

    @property
    def is_rejected(self) -> bool:
        return self.p_value <= self.alpha

    @property
    def answers(self) -> int:
        """Of each endpoint."""
        return sum(map(len, self.ours.values()))
