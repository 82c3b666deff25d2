"""Two-sample tests of texts: whether the answers of two endpoints to the same prompts have one distribution.

The statistic is the maximum mean discrepancy (Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A Kernel Two-Sample
Test", Journal of Machine Learning Research 13, 2012), summed over the prompts; answers to different prompts have
nothing in common, as in Gao, Liang and Guestrin, "Model Equality Testing: Which Model Is This API Serving?", ICLR 2025.
Its p-value comes from permutations of the answers to each prompt, so it is exact whatever the distributions are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from oruel.verify.against.permutations import permutation_p_value
from oruel.verify.against.texts import pieces

Matrix = NDArray[np.float64]

# Answers are compared in so many pieces.
LENGTH = 12
# An answer that ends has this at all later places.
END = ""


def kernel(texts: Sequence[str]) -> Matrix:
    """The similarities of texts, shape (texts, texts), from 0 to 1: the share of the first pieces up to the first one
    that differs. The diagonal is 0: a text tells nothing by its similarity to itself.
    """
    numbers: dict[str, int] = {}
    rows = [[*pieces(text)[:LENGTH], *[END] * LENGTH][:LENGTH] for text in texts]
    codes = np.array([[numbers.setdefault(piece, len(numbers)) for piece in row] for row in rows])
    alike = np.logical_and.accumulate(codes[:, None] == codes[None, :], axis=2).mean(axis=2)
    np.fill_diagonal(alike, 0.0)
    return np.asarray(alike)


def discrepancy(kernels: Sequence[Matrix], signs: Sequence[Matrix]) -> Matrix:
    """The sum over the prompts of sᵀKs, shape (permutations,). `signs` has shape (permutations, texts) for each prompt:
    1 for one endpoint and -1 for the other. With as many answers from each, it is the unbiased estimate of the squared
    discrepancy up to constants.
    """
    return np.asarray(sum(((s @ k) * s).sum(axis=1) for k, s in zip(kernels, signs, strict=True)))


def two_sample_p_value(kernels: Sequence[Matrix], random: np.random.Generator) -> float:
    """The p-value if the first half of each prompt's texts is one endpoint's, the second half the other's."""
    labels = [np.repeat([1.0, -1.0], len(k) // 2) for k in kernels]

    def draw(count: int) -> Matrix:
        return discrepancy(kernels, [random.permuted(np.tile(one, (count, 1)), axis=1) for one in labels])

    return permutation_p_value(float(discrepancy(kernels, [one[None] for one in labels])[0]), draw)


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
        generator = np.random.default_rng(self.random.getrandbits(64))
        p_value = two_sample_p_value(self.kernels(), generator)
        self.p_value = min(self.p_value, 1.0, self.looks * p_value)
        return self.is_rejected

    def kernels(self) -> list[Matrix]:
        return [kernel([*self.ours[prompt], *self.theirs[prompt]]) for prompt in self.ours if self.ours[prompt]]

    @property
    def is_rejected(self) -> bool:
        return self.p_value <= self.alpha

    @property
    def answers(self) -> int:
        """Of each endpoint."""
        return sum(map(len, self.ours.values()))
