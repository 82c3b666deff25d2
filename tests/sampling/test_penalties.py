"""Penalties count the tokens generated so far, and change logits in the order of the contract."""

from typing import Any

import numpy as np
import pytest

from oruel.sampling import Sampler
from oruel.types import SamplingParams


def greedy(logits: list[float], output: list[int], **params: Any) -> int:
    sampler = Sampler(SamplingParams(temperature=0.0, **params), 0, len(logits))
    for token in output:
        sampler.accept(token)
    return sampler.sample(np.array(logits, np.float32))


def test_the_first_token_is_not_penalised() -> None:
    assert greedy([1, 0.9], [], repetition_penalty=3.0, frequency_penalty=2.0, presence_penalty=2.0) == 0


def test_a_repetition_penalty_lowers_logits_of_either_sign() -> None:
    assert greedy([4, 2.1], [0], repetition_penalty=2.0) == 1
    assert greedy([4, 1.9], [0], repetition_penalty=2.0) == 0
    assert greedy([-1, -1.9], [0], repetition_penalty=2.0) == 1
    assert greedy([-1, -2.1], [0], repetition_penalty=2.0) == 0


def test_a_repetition_penalty_below_1_raises_logits() -> None:
    assert greedy([1, 1.9], [0], repetition_penalty=0.5) == 0
    assert greedy([-2, -1.1], [0], repetition_penalty=0.5) == 0


def test_a_repetition_penalty_counts_a_token_once() -> None:
    assert greedy([4, 1.9], [0, 0, 0, 0], repetition_penalty=2.0) == 0


def test_a_frequency_penalty_grows_with_each_occurrence() -> None:
    assert greedy([3, 0.5], [0, 0], frequency_penalty=1.0) == 0
    assert greedy([3, 0.5], [0, 0, 0], frequency_penalty=1.0) == 1


def test_a_presence_penalty_is_the_same_for_one_occurrence_and_many() -> None:
    assert greedy([3, 1.5], [0], presence_penalty=1.0) == 0
    assert greedy([3, 1.5], [0, 0, 0, 0], presence_penalty=1.0) == 0
    assert greedy([3, 2.5], [0], presence_penalty=1.0) == 1


def test_negative_penalties_favour_repetition() -> None:
    assert greedy([0, 1, 1.5], [0, 0, 1], frequency_penalty=-1.0) == 0
    assert greedy([0, 1, 1.5], [0, 0, 1], presence_penalty=-1.0) == 1


def test_bias_comes_before_the_repetition_penalty() -> None:
    # 1 − 2 = −1, then × 2 = −2. The other way round it would be 1 / 2 − 2 = −1.5, and win by its id.
    assert greedy([1, -1.5], [0], logit_bias={0: -2.0}, repetition_penalty=2.0) == 1


def test_the_repetition_penalty_comes_before_the_others() -> None:
    # 2 / 2 − 1 = 0. The other way round it would be (2 − 1) / 2 = 0.5.
    assert greedy([2, 0.25], [0], repetition_penalty=2.0, frequency_penalty=1.0) == 1
    assert greedy([2, 0.25], [0], repetition_penalty=2.0, presence_penalty=1.0) == 1


@pytest.mark.parametrize("distinct", [63, 64, 65, 1000])
def test_penalties_count_any_number_of_distinct_tokens(distinct: int) -> None:
    logits = [1.0] * distinct + [0.0]
    assert greedy(logits, list(range(distinct)), presence_penalty=1.5) == distinct
    assert greedy(logits, list(range(distinct - 1)), presence_penalty=1.5) == distinct - 1


def test_penalties_are_computed_in_float64() -> None:
    # In float32, 1000 − 1e-5 is 1000.
    assert greedy([1000, 1000], [0], presence_penalty=1e-5) == 1
