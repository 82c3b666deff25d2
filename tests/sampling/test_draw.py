"""The draw uses Philox, and frequencies follow the distribution that the parameters define."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.sampling import Sampler
from oruel.sampling.candidates import Candidates, first_above
from oruel.sampling.draw import Uniforms, draw
from oruel.types import SamplingParams
from tests.sampling import reference
from tests.sampling.paths import BuildSampler, every_path, tokens_of_seeds

LARGEST_U = 1 - 2.0**-53


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 7), st.integers(0, 2**32))
def test_the_uniform_number_equals_the_philox_reference(seed: int, choice: int, position: int) -> None:
    assert Uniforms(seed, choice).at(position) == reference.uniform(seed, choice, position)


def test_the_reference_reproduces_the_published_philox_words() -> None:
    words = 0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B
    assert reference.philox(0, (0, 0)) == words


@given(st.lists(st.integers(0, 300), max_size=20))
def test_the_number_of_a_position_does_not_depend_on_the_order_of_calls(positions: list[int]) -> None:
    uniforms = Uniforms(7, 1)
    assert [uniforms.at(position) for position in positions] == [reference.uniform(7, 1, at) for at in positions]


def test_negative_seeds_are_distinct() -> None:
    assert len({Uniforms(seed, 0).at(0) for seed in (-(2**63), -1, 0, 1, 2**63 - 1)}) == 5


@pytest.mark.parametrize("size", [5, 1000])
def test_a_zero_weight_is_never_drawn_even_at_the_interval_ends(size: int) -> None:
    weights = np.zeros(size)
    weights[[2, size - 2]] = 1, 0.25
    candidates = Candidates(None, weights)
    assert draw(candidates, 0.0) == 2
    assert draw(candidates, 0.8) == size - 2, "the interval of a token begins at its lower end"
    assert draw(candidates, LARGEST_U) == size - 2


def test_a_mass_at_the_rounded_total_selects_the_last_weight() -> None:
    assert first_above(np.array([0.5, 1.0, 1.0]), 1.0) == 1


@given(st.integers(1, 2000), st.integers(0, 2**32), st.floats(0, LARGEST_U))
def test_the_draw_inverts_the_cumulative_distribution_in_order_of_id(size: int, seed: int, u: float) -> None:
    weights = np.random.default_rng(seed).integers(0, 3, size).astype(np.float64)
    weights[size // 2] = 1
    ids = np.arange(size) * 3
    expected = np.repeat(ids, weights.astype(int))[math.floor(u * weights.sum())]
    assert draw(Candidates(ids, weights), u) == expected


LOGITS = [2.0, 1.5, 1.0, 1.0, 0.5, 0.0, -1.0, -6.0]


@every_path
@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({}, range(8)),
        ({"temperature": 0.7}, range(8)),
        ({"temperature": 2.0}, range(8)),
        ({"top_k": 3}, [0, 1, 2]),
        ({"temperature": 1.5, "top_p": 0.8}, [0, 1, 2, 3, 4]),
        ({"temperature": 0.8, "min_p": 0.2}, [0, 1, 2, 3]),
        ({"top_k": 6, "top_p": 0.9, "min_p": 0.3}, [0, 1, 2, 3]),
    ],
)
def test_frequencies_follow_the_exact_probabilities(
    build: BuildSampler, params: dict[str, Any], kept: list[int]
) -> None:
    draws = 10_000
    row = np.array(LOGITS, np.float32)
    tokens = tokens_of_seeds(build, row, SamplingParams(**params), range(draws))
    weights = {token: math.exp(LOGITS[token] / params.get("temperature", 1.0)) for token in kept}
    expected = {token: draws * weight / sum(weights.values()) for token, weight in weights.items()}
    assert set(tokens) <= set(kept)
    assert chi_square(tokens, expected) < chi_square_bound(len(kept) - 1)


def test_frequencies_over_positions_follow_the_exact_probabilities() -> None:
    draws = 10_000
    sampler = Sampler(SamplingParams(seed=-7), 3, len(LOGITS))
    tokens = []
    for _ in range(draws):
        tokens.append(sampler.sample(np.array(LOGITS, np.float32)))
        sampler.accept(tokens[-1])
    total = sum(map(math.exp, LOGITS))
    expected = {token: draws * math.exp(logit) / total for token, logit in enumerate(LOGITS)}
    assert chi_square(tokens, expected) < chi_square_bound(len(LOGITS) - 1)


def chi_square(tokens: list[int], expected: dict[int, float]) -> float:
    return sum((tokens.count(token) - count) ** 2 / count for token, count in expected.items())


def chi_square_bound(freedom: int) -> float:
    """Exceeded once in three million by chance: five standard deviations, by Wilson and Hilferty (1931)."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + 5 * math.sqrt(spread)) ** 3
