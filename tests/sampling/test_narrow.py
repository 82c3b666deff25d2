"""Narrowing drops no token that can still be among the largest: each choice equals that of the whole row."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oruel.sampling import Sampler
from oruel.sampling.candidates import Candidates
from oruel.sampling.narrow import WORTH_NARROWING, TopCandidates
from oruel.types import SamplingParams

SIZES = st.integers(WORTH_NARROWING, WORTH_NARROWING + 200)


def apply_penalties(
    row: NDArray[np.float32], output: list[int], bias: dict[int, float], params: Any
) -> NDArray[np.float64]:
    """Steps 1 to 3 of the order over the whole row, token by token."""
    logits = row.astype(np.float64)
    for token, value in bias.items():
        logits[token] += value
    for token in set(output):
        logit = logits[token]
        logit = logit / params["repetition_penalty"] if logit > 0 else logit * params["repetition_penalty"]
        logits[token] = logit - params["frequency_penalty"] * output.count(token) - params["presence_penalty"]
    return logits


@given(
    SIZES,
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 50, 1000]),
    st.integers(2, 200),
    st.sampled_from([1.0, 1.3, 0.5]),
    st.floats(-2, 2),
    st.integers(0, 400),
)
def test_narrowing_keeps_the_largest_of_the_whole_row(
    size: int, seed: int, levels: int, count: int, repetition: float, frequency: float, generated: int
) -> None:
    random = np.random.default_rng(seed)
    row = random.integers(-levels, levels + 1, size).astype(np.float32)
    row[random.random(size) < 0.3] = -np.inf
    row[7] = 0
    output = [int(token) for token in random.integers(0, size, generated)]
    bias = {int(token): float(random.integers(-3, 4)) for token in random.integers(0, size, 20)}
    params = {"repetition_penalty": repetition, "frequency_penalty": frequency, "presence_penalty": 0.5}
    sampler = Sampler(SamplingParams(top_k=count, logit_bias=bias, **params), 0, size)  # type: ignore[arg-type]  # by name, each of its type
    for token in output:
        sampler.accept(token)
    expected = np.sort(np.lexsort((np.arange(size), -apply_penalties(row, output, bias, params)))[:count])
    kept = sampler.candidates(row)
    tokens = np.arange(size) if kept.ids is None else kept.ids
    weighty = expected[apply_penalties(row, output, bias, params)[expected] > -np.inf]
    assert set(tokens[kept.values > 0]) <= set(weighty)
    assert len(tokens) <= count


@given(SIZES, st.integers(0, 2**32), st.sampled_from([0, 1, 3, 300]), st.integers(1, 2000))
def test_greedy_takes_the_largest_of_the_row_with_ties_to_the_lowest_id(
    size: int, seed: int, levels: int, generated: int
) -> None:
    random = np.random.default_rng(seed)
    row = random.integers(-levels, levels + 1, size).astype(np.float32)
    output = [int(token) for token in random.integers(0, size, generated)]
    params = {"repetition_penalty": 1.0, "frequency_penalty": 0.5, "presence_penalty": 1.0}
    sampler = Sampler(SamplingParams(temperature=0, **params), 0, size)  # type: ignore[arg-type]  # by name, each of its type
    for token in output:
        sampler.accept(token)
    assert sampler.sample(row) == int(apply_penalties(row, output, {}, params).argmax())


class Touched:
    def __init__(self, tokens: NDArray[np.intp]) -> None:
        self.touched = tokens


@pytest.mark.parametrize("size", [WORTH_NARROWING, WORTH_NARROWING + 63, 151_936])
def test_a_row_is_narrowed_to_a_few_hundred_candidates_in_order_of_id(size: int) -> None:
    row = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    touched = np.array([size - 1, 5, 9, 5])
    narrowed = TopCandidates(50, [Touched(touched)])(Candidates(None, row))
    assert narrowed.ids is not None
    assert len(narrowed.ids) < 400
    assert (np.diff(narrowed.ids) > 0).all()
    assert {5, 9, size - 1, *np.argsort(-row)[:50]} <= set(narrowed.ids)


def test_a_row_with_all_blocks_touched_is_not_narrowed() -> None:
    row = np.zeros(WORTH_NARROWING, np.float32)
    candidates = TopCandidates(50, [Touched(np.arange(WORTH_NARROWING))])(Candidates(None, row))
    assert candidates.ids is None
