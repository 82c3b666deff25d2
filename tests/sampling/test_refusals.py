"""A token that a constraint refuses is drawn again, by the same distribution without it."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from oruel.sampling.constraint import REFUSED, WorkBudget
from oruel.sampling.sampler import Sampler
from oruel.types import SamplingParams

SIZE = 8
LOGITS = np.log(np.array([4, 3, 2, 1, 1, 2, 3, 4], np.float32))


class RefusingConstraint:
    """Refuses some tokens, each of them once asked."""

    is_closing = False
    is_complete = False
    forced: Sequence[int] = ()

    def __init__(self, refused: set[int]) -> None:
        self._refused = refused
        self._known: set[int] = set()

    def mask(self) -> NDArray[np.uint8]:
        return np.array([0xFF & ~sum(1 << token for token in self._known)], np.uint8)

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        assert token not in self._known
        if token not in self._refused:
            return token
        self._known.add(token)
        return REFUSED

    def accept(self, token: int) -> None:
        self._known.clear()


def sampler(refused: set[int], seed: int, temperature: float = 1.0) -> Sampler:
    return Sampler(SamplingParams(seed=seed, temperature=temperature), 0, SIZE, RefusingConstraint(refused))


@pytest.mark.parametrize("refused", [{0}, {0, 7}, {1, 2, 3, 4, 5, 6}, {0, 1, 2, 3, 5, 6, 7}])
def test_the_distribution_is_that_of_the_tokens_that_are_left(refused: set[int]) -> None:
    draws = 4_000
    counts = np.zeros(SIZE)
    one = sampler(refused, seed=20261128)
    for _ in range(draws):
        token = one.sample(LOGITS)
        one.accept(token)
        counts[token] += 1
    expected = np.exp(LOGITS)
    expected[list(refused)] = 0
    expected *= draws / expected.sum()
    left = expected > 0
    assert counts[~left].sum() == 0
    # Pearson's statistic has the variance 2k; six standard deviations.
    freedom = max(1, left.sum() - 1)
    assert ((counts - expected)[left] ** 2 / expected[left]).sum() < freedom + 6 * np.sqrt(2 * freedom)


def test_the_same_seed_has_the_same_tokens_after_refusals() -> None:
    assert tokens_of(sampler({0, 7}, seed=5)) == tokens_of(sampler({0, 7}, seed=5))


def tokens_of(one: Sampler) -> list[int]:
    tokens = []
    for _ in range(50):
        tokens.append(one.sample(LOGITS))
        one.accept(tokens[-1])
    return tokens


def test_greedy_takes_the_next_best_token() -> None:
    assert sampler({0}, seed=1, temperature=0).sample(LOGITS) == 7
