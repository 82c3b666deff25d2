"""Edge cases of each parameter, on distributions that are small enough to compute by hand."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oruel.errors import EngineFailed
from oruel.sampling import Sampler
from oruel.sampling.filters import MinP, Softmax, TopK, TopP
from oruel.sampling.narrow import TopCandidates
from oruel.sampling.penalties import Bias, Penalties
from oruel.types import SamplingParams
from tests.sampling.paths import BuildSampler, every_path, tokens_of_seeds

INF = math.inf


def row_of(logits: list[float]) -> NDArray[np.float32]:
    row = np.array(logits, np.float32)
    row.flags.writeable = False
    return row


def draw_many(build: BuildSampler, logits: list[float], output: tuple[int, ...] = (), **params: Any) -> set[int]:
    """The tokens that 200 seeds draw. One with a probability above 0.1 is missed with a probability below 1e-9."""
    return set(tokens_of_seeds(build, row_of(logits), SamplingParams(**params), range(200), output))


def active_steps(**params: Any) -> list[type]:
    return [type(step) for step in Sampler(SamplingParams(**params), 0, 1000).steps]


def test_inactive_steps_are_not_built() -> None:
    assert active_steps() == [Softmax]
    assert active_steps(temperature=0.7) == [Softmax]
    assert active_steps(temperature=0.0) == []
    assert active_steps(top_k=1, top_p=0.9, min_p=0.1) == []
    assert active_steps(temperature=0.0, presence_penalty=1.0) == [TopCandidates, Penalties]
    assert active_steps(presence_penalty=1.0) == [Penalties, Softmax], "without top_k, the whole row matters"
    assert active_steps(top_k=1000) == [Softmax], "the size of the vocabulary is no limit"


def test_active_steps_are_built_in_the_order_of_the_contract() -> None:
    everything = active_steps(logit_bias={1: 1.0}, repetition_penalty=1.1, top_k=50, top_p=0.9, min_p=0.1)
    assert everything == [TopCandidates, Bias, Penalties, TopK, Softmax, TopP, MinP]


@every_path
def test_temperature_0_takes_the_largest_logit_with_ties_to_the_lowest_id(build: BuildSampler) -> None:
    assert draw_many(build, [0, 3, -1, 3], temperature=0.0) == {1}


@every_path
def test_top_k_1_is_greedy_at_any_temperature(build: BuildSampler) -> None:
    assert draw_many(build, [0, 0.01, 0.01], temperature=2.0, top_k=1) == {1}


@every_path
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-40, 1e-10])
@pytest.mark.parametrize("size", [4, 100_000])
def test_a_tiny_temperature_is_greedy_and_does_not_overflow(build: BuildSampler, temperature: float, size: int) -> None:
    row = np.linspace(-3e38, 3e38, size, dtype=np.float32)
    assert build(SamplingParams(temperature=temperature), 0, size).sample(row) == size - 1


@every_path
@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e-5])
def test_a_tiny_temperature_still_draws_among_equals(build: BuildSampler, temperature: float) -> None:
    assert draw_many(build, [2, 7, 7, 1], temperature=temperature) == {1, 2}
    equals = build(SamplingParams(temperature=temperature, seed=3), 0, 50_000)
    assert 0 < equals.sample(np.zeros(50_000, np.float32)) < 49_999


@every_path
def test_top_k_keeps_the_k_most_probable_with_ties_to_the_lower_id(build: BuildSampler) -> None:
    assert draw_many(build, [1, 1, 1, 1], top_k=2) == {0, 1}
    assert draw_many(build, [0, 1, 1, 2], top_k=2) == {1, 3}
    assert draw_many(build, [0, 0, 0], top_k=3) == {0, 1, 2}
    assert draw_many(build, [0, 0, 0], top_k=200) == {0, 1, 2}


@every_path
def test_top_p_keeps_the_smallest_set_that_exceeds_it(build: BuildSampler) -> None:
    assert draw_many(build, [0, 0, 0, 0], top_p=0.49) == {0, 1}
    assert draw_many(build, [0, 0, 0, 0], top_p=0.5) == {0, 1, 2}, "two tokens reach one half, but don't exceed it"


@every_path
def test_top_p_orders_tokens_by_probability_then_id(build: BuildSampler) -> None:
    assert draw_many(build, [0, 1, 1, 1], top_p=0.5) == {1, 2}
    assert draw_many(build, [1, 0, 1, 1], top_p=0.5) == {0, 2}


@every_path
def test_top_p_0_keeps_only_the_most_probable_token(build: BuildSampler) -> None:
    assert draw_many(build, [0, 0.01, 0.01], top_p=0.0) == {1}


@every_path
def test_top_p_1_keeps_every_token(build: BuildSampler) -> None:
    assert draw_many(build, [0, 0, 0, 0], top_p=1.0) == {0, 1, 2, 3}


@every_path
def test_top_p_is_relative_to_the_tokens_that_top_k_keeps(build: BuildSampler) -> None:
    assert draw_many(build, [0, 0, 0, 0], top_k=2, top_p=0.49) == {0}
    assert draw_many(build, [0, 0, 0, 0], top_k=2, top_p=0.5) == {0, 1}


@every_path
def test_top_p_applies_after_temperature(build: BuildSampler) -> None:
    assert draw_many(build, [0, 1], top_p=0.7, temperature=1.0) == {1}
    assert draw_many(build, [0, 1], top_p=0.7, temperature=2.0) == {0, 1}


@every_path
def test_min_p_discards_tokens_below_its_ratio_to_the_most_probable(build: BuildSampler) -> None:
    logits = [0.0, math.log(0.51), math.log(0.49)]
    assert draw_many(build, logits, min_p=0.5) == {0, 1}
    assert draw_many(build, logits, min_p=0.5, temperature=0.5) == {0}


@every_path
def test_min_p_1_keeps_the_most_probable_token_and_its_ties(build: BuildSampler) -> None:
    assert draw_many(build, [1, 0.99, 1], min_p=1.0) == {0, 2}


@every_path
def test_min_p_and_top_p_together_keep_their_intersection(build: BuildSampler) -> None:
    logits = [math.log(4), math.log(3), math.log(2), math.log(1)]
    assert draw_many(build, logits, min_p=0.6) == {0, 1}
    assert draw_many(build, logits, top_p=0.75) == {0, 1, 2}
    assert draw_many(build, logits, min_p=0.6, top_p=0.75) == {0, 1}
    assert draw_many(build, logits, min_p=0.4, top_p=0.5) == {0, 1}


@every_path
def test_min_p_does_not_change_the_set_that_top_p_is_relative_to(build: BuildSampler) -> None:
    logits = [0.0, 0.0, math.log(0.9), math.log(0.9)]
    assert draw_many(build, logits, min_p=0.95, top_p=0.45) == {0, 1}


@every_path
def test_a_bias_can_ban_and_force_tokens(build: BuildSampler) -> None:
    assert draw_many(build, [5, 0, 0], logit_bias={0: -100.0}) == {1, 2}
    assert draw_many(build, [5, 0, 0], logit_bias={2: 100.0}) == {2}


@every_path
def test_the_only_token_with_a_finite_logit_is_drawn(build: BuildSampler) -> None:
    assert draw_many(build, [-INF, -INF, -4, -INF]) == {2}
    assert draw_many(build, [-INF, -INF, -4, -INF], top_k=3, top_p=0.5, min_p=0.1) == {2}
    assert draw_many(build, [-INF, -INF, -4, -INF], temperature=0.0) == {2}


@every_path
def test_a_logit_of_minus_infinity_stays_excluded(build: BuildSampler) -> None:
    lures = {"logit_bias": {0: 100.0}, "repetition_penalty": 0.1, "frequency_penalty": -2.0, "presence_penalty": -2.0}
    assert draw_many(build, [-INF, 0, 0], output=(0, 0), **lures) == {1, 2}


@every_path
@pytest.mark.parametrize("broken", [[0, math.nan, 1], [0, INF, 1], [-INF, -INF, -INF]])
@pytest.mark.parametrize("params", [{}, {"temperature": 0.0}, {"top_k": 2}, {"logit_bias": {0: 1.0}}])
def test_logits_without_a_finite_maximum_raise_an_error(build: BuildSampler, broken: list[float], params: Any) -> None:
    with pytest.raises(EngineFailed, match="no token can be chosen"):
        build(SamplingParams(**params), 0, 3).sample(row_of(broken))


@every_path
@pytest.mark.parametrize("size", [50, 50_000])
def test_the_row_of_logits_is_not_modified(build: BuildSampler, size: int) -> None:
    row = np.random.default_rng(5).normal(0, 2, size).astype(np.float32)
    before = row.copy()
    bias = {3: 5.0}
    for params in (
        SamplingParams(),
        SamplingParams(temperature=0.0, presence_penalty=1.0),
        SamplingParams(top_p=0.9, min_p=0.01, repetition_penalty=1.2, logit_bias=bias),
        SamplingParams(top_k=20, frequency_penalty=1.0, logit_bias=bias),
    ):
        sampler = build(params, 0, size)
        for _ in range(3):
            sampler.accept(sampler.sample(row))
    assert np.array_equal(row, before)


@every_path
def test_the_same_seed_gives_the_same_tokens_among_other_samplers(build: BuildSampler) -> None:
    rows = np.random.default_rng(8).normal(0, 1, (20, 100)).astype(np.float32)
    alone, first, second = (build(SamplingParams(seed=seed), 0, 100) for seed in (4, 4, 5))
    for row in rows:
        expected = alone.sample(row)
        second.accept(second.sample(row))
        assert first.sample(row) == expected
        assert first.sample(row) == expected, "sampling again without accepting changes nothing"
        alone.accept(expected)
        first.accept(expected)


@every_path
def test_positions_choices_and_seeds_draw_differently(build: BuildSampler) -> None:
    row = np.zeros(10_000, np.float32)
    samplers = [build(SamplingParams(seed=seed), choice, 10_000) for seed in (-1, 0, 1) for choice in range(8)]
    tokens = []
    for sampler in samplers:
        for _ in range(4):
            tokens.append(sampler.sample(row))
            sampler.accept(tokens[-1])
    assert len(set(tokens)) > 85, "96 draws of 10,000 hardly ever collide"
