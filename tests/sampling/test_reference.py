"""The fast path chooses the same tokens as the slow reference, for any logits and parameters."""

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oruel.sampling import Sampler
from oruel.sampling.candidates import Candidates
from oruel.types import SamplingParams
from tests.sampling.paths import BuildSampler, RowSampler, TorchSampler, every_path
from tests.sampling.reference import TOLERANCE, Decision, decide, invert

Row = NDArray[np.float32]

# Integers make ties and exact boundaries common; Hypothesis finds unusual floats by itself.
logit = st.one_of(
    st.integers(-6, 6).map(float),
    st.floats(-30, 30, width=32),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.just(-np.inf),
)
unit = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.99, 1.0]))
temperature = st.one_of(st.floats(0, 2), st.sampled_from([0.0, 5e-324, 1e-300, 1e-7, 1e-3, 0.7, 1.0, 2.0]))
penalty = st.one_of(st.just(0.0), st.floats(-2, 2), st.integers(-2, 2).map(float))
repetition_penalty = st.one_of(st.just(1.0), st.floats(0.1, 3), st.just(2.0))
seed = st.integers(-(2**63), 2**63 - 1)


def parameters(vocabulary_size: int) -> st.SearchStrategy[SamplingParams]:
    return st.builds(
        SamplingParams,
        temperature=temperature,
        top_p=unit,
        top_k=st.one_of(st.just(0), st.integers(0, min(vocabulary_size + 1, 200))),
        min_p=st.one_of(st.just(0.0), unit),
        seed=seed,
        frequency_penalty=penalty,
        presence_penalty=penalty,
        repetition_penalty=repetition_penalty,
        logit_bias=st.dictionaries(st.integers(0, vocabulary_size - 1), st.floats(-100, 100), max_size=5),
    )


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[list[Row], SamplingParams, int]:
    """Rows of one sequence, its parameters and the index of its choice."""
    size = draw(st.integers(2, 40))
    row = st.lists(logit, min_size=size, max_size=size).filter(lambda row: max(row) > -np.inf)
    rows = draw(st.lists(row, min_size=1, max_size=5))
    params = draw(parameters(size))
    return [np.array(row, np.float32) for row in rows], params, draw(st.integers(0, 7))


def shaped_row(shape: str, size: int, generator: np.random.Generator, spread: float = 1.0) -> Row:
    row = generator.normal(-3, spread, size)
    if shape == "peaked":
        row[generator.integers(0, size, 20)] += 12
    elif shape == "coarse":
        row = np.round(row * 2) / 2
    elif shape == "sparse":
        row[generator.random(size) < 0.999] = -np.inf
        row[size // 2] = 1
    elif shape == "constant":
        row[:] = 3
    return row.astype(np.float32)


@st.composite
def large_rows(draw: st.DrawFn) -> Row:
    size = draw(st.one_of(st.integers(1_000, 30_000), st.integers(100_000, 200_000)))
    shape = draw(st.sampled_from(["flat", "peaked", "coarse", "sparse", "constant"]))
    spread = draw(st.sampled_from([0.01, 1.0, 3.0, 10.0]))
    return shaped_row(shape, size, np.random.default_rng(draw(st.integers(0, 2**32))), spread)


def check_agreement(sampler: RowSampler, row: Row, params: SamplingParams, decision: Decision) -> int:
    """Checks the fast path against the decision of the reference. Returns the token."""
    row.flags.writeable = False
    token = sampler.sample(row)
    assert token in decision.acceptable
    if params.temperature > 0 and params.top_k != 1 and params.top_p > 0:
        if isinstance(sampler, Sampler):
            check_distribution(sampler.candidates(row), decision.probability, len(row))
        elif isinstance(sampler, TorchSampler):
            check_draws(sampler, row, decision.probability)
    return token


def assume_firm(decision: Decision) -> Decision:
    """Skips an example that depends on the seventh decimal."""
    event(f"firm: {decision.firm}")
    assume(decision.firm)
    return decision


def check_distribution(candidates: Candidates, probability: dict[int, float], size: int) -> None:
    """The same tokens may be drawn, and the cumulative distributions differ by less than 1e-6 everywhere."""
    fast, exact = np.zeros(size), np.zeros(size)
    fast[slice(None) if candidates.ids is None else candidates.ids] = candidates.values
    fast /= fast.sum()
    exact[list(probability)] = list(probability.values())
    assert np.abs(np.cumsum(fast - exact)).max() < 1e-6
    noticeable = np.maximum(fast, exact) > 1e-20
    assert np.array_equal(fast[noticeable] > 0, exact[noticeable] > 0)


def check_draws(sampler: TorchSampler, row: Row, probability: dict[int, float]) -> None:
    """Numbers across [0, 1), and those next to a bound of the distribution, draw what the reference draws."""
    bounds = list(accumulate(probability.values()))
    beside = [bound + side * 2 * TOLERANCE for bound in bounds[:: len(bounds) // 10 + 1] for side in (-1, 1)]
    uniforms = [u for u in [*(np.arange(10) / 10).tolist(), *beside, 1 - 2.0**-53] if 0 <= u < 1]
    for u, token in zip(uniforms, sampler.sample_many(row, uniforms), strict=True):
        assert token in invert(probability, u)[1]


@every_path
@settings(max_examples=400, deadline=None)
@given(case=small_cases())
def test_every_token_of_a_sequence_matches_the_reference(
    build: BuildSampler, case: tuple[list[Row], SamplingParams, int]
) -> None:
    rows, params, choice = case
    sampler = build(params, choice, len(rows[0]))
    output: list[int] = []
    for row in [*rows, *rows]:
        token = check_agreement(sampler, row, params, assume_firm(decide(row.tolist(), params, choice, output)))
        sampler.accept(token)
        output.append(token)


@every_path
@settings(max_examples=30, deadline=None)
@given(data=st.data(), row=large_rows(), choice=st.integers(0, 7))
def test_the_token_matches_the_reference_for_any_vocabulary_size(
    build: BuildSampler, data: st.DataObject, row: Row, choice: int
) -> None:
    params = data.draw(parameters(len(row)))
    output = data.draw(st.lists(st.integers(0, len(row) - 1), max_size=20))
    sampler = build(params, choice, len(row))
    for token in output:
        sampler.accept(token)
    check_agreement(sampler, row, params, assume_firm(decide(row.tolist(), params, choice, output)))


FILTERS: list[dict[str, Any]] = [
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1.3, "top_p": 0.3},
    {"temperature": 2.0, "top_p": 0.97},
    {"temperature": 1.0, "min_p": 0.013},
    {"temperature": 0.7, "top_p": 0.94, "min_p": 0.0013},
    {"temperature": 0.7, "top_k": 50, "top_p": 0.93, "min_p": 0.03},
]
PENALTIES = {"repetition_penalty": 1.1, "frequency_penalty": 0.3, "presence_penalty": -0.2, "logit_bias": {7: 4.0}}


@every_path
@pytest.mark.parametrize("penalties", [{}, PENALTIES], ids=["plain", "penalties"])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.parametrize("shape", ["flat", "peaked", "coarse"])
def test_common_settings_match_the_reference_on_a_large_vocabulary(
    build: BuildSampler, shape: str, filters: dict[str, Any], penalties: dict[str, Any]
) -> None:
    size = 40_000
    params = SamplingParams(seed=9, **filters, **penalties)
    for number in range(20):
        generator = np.random.default_rng(number)
        row = shaped_row(shape, size, generator)
        output = generator.integers(0, size, 300).tolist()
        decision = decide(row.tolist(), params, 2, output)
        if decision.firm:
            break
    sampler = build(params, 2, size)
    for token in output:
        sampler.accept(token)
    check_agreement(sampler, row, params, decision)


@every_path
def test_the_most_probable_token_survives_min_p_1_with_any_bias(build: BuildSampler) -> None:
    generator = np.random.default_rng(3)
    for size in [40, 1_025, 20_000]:
        row = shaped_row("flat", size, generator, 0.01)
        for bias in generator.uniform(6, 100, 20).tolist():
            params = SamplingParams(temperature=1, top_p=0.0, min_p=1.0, logit_bias={1: bias})
            assert build(params, 0, size).sample(row) == 1


def test_most_reference_decisions_are_firm() -> None:
    generator = np.random.default_rng(1)
    params = SamplingParams(temperature=0.7, top_p=0.9, min_p=0.02)
    rows = generator.normal(0, 3, (200, 500)).astype(np.float32)
    decisions = [decide(row.tolist(), params, 0, [0] * position) for position, row in enumerate(rows)]
    assert sum(decision.firm and len(decision.acceptable) == 1 for decision in decisions) > 190
