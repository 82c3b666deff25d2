"""A trace shows what each step did: compared with the slow reference, which is stopped after each step in turn."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oruel.sampling import Sampler
from oruel.sampling.traced_sampler import TracedSampler
from oruel.types import SamplingParams, TokenTrace
from tests.sampling.reference import decide, softmax, uniform
from tests.sampling.test_reference import Row, parameters

NEUTRAL = SamplingParams()
STEPS = {
    "logit_bias": "logit_bias",
    "repetition_penalty": "repetition_penalty",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
}
SIZE = 40

logit = st.one_of(st.integers(-6, 6).map(float), st.floats(-30, 30, width=32))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Row, SamplingParams, list[int]]:
    """A row of logits, parameters, and the output so far."""
    row = draw(st.lists(logit, min_size=SIZE, max_size=SIZE))
    output = draw(st.lists(st.integers(0, 8), max_size=6))
    params = draw(parameters(SIZE))
    return np.array(row, np.float32), params, output


def trace_of(row: Row, params: SamplingParams, output: list[int], top: int = SIZE) -> tuple[int, TokenTrace]:
    sampler = TracedSampler(params, 0, len(row), None, top)
    for token in output:
        sampler.accept(token)
    token = sampler.sample(row)
    return token, sampler.trace(token, row)


def truncated(params: SamplingParams) -> Iterator[tuple[str, SamplingParams]]:
    """Each active step, with the parameters of the steps up to it. Nothing follows a greedy step."""
    active = NEUTRAL
    for name in STEPS:
        active = replace(active, **{name: getattr(params, name)})
        if getattr(params, name) != getattr(NEUTRAL, name) and not (name == "top_k" and params.top_k >= SIZE):
            yield name, active
            if active.is_greedy:
                return


@settings(max_examples=200, deadline=None)
@given(cases())
def test_probabilities_after_each_step_are_those_of_the_reference(case: tuple[Row, SamplingParams, list[int]]) -> None:
    row, params, output = case
    expected = [(name, decide(row.tolist(), until, 0, output)) for name, until in truncated(params)]
    assume(all(decision.firm for _, decision in expected))
    _, traced = trace_of(row, params, output)
    assert traced.steps == [name for name, _ in expected]
    assert len(traced.candidates) == SIZE
    model = softmax(row.tolist(), np.argsort(-row, kind="stable").tolist(), 1.0)
    for candidate in traced.candidates:
        id = candidate.id
        after = [decision.probability.get(id, 0.0) for _, decision in expected]
        assert candidate.probability == pytest.approx(model[id], rel=1e-9)
        assert candidate.after == pytest.approx(after, rel=1e-9, abs=1e-300)
        removed = next((name for name, decision in expected if id not in decision.probability), None)
        assert candidate.removed_by == removed
        assert (candidate.logit, candidate.bias) == (float(row[id]), params.logit_bias.get(id, 0.0))
        assert candidate.count == output.count(id)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_the_draw_the_survivors_and_the_entropies_are_those_of_the_reference(
    case: tuple[Row, SamplingParams, list[int]],
) -> None:
    row, params, output = case
    decision = decide(row.tolist(), params, 0, output)
    assume(decision.firm)
    token, traced = trace_of(row, params, output)
    model = softmax(row.tolist(), np.argsort(-row, kind="stable").tolist(), 1.0)
    assert token in decision.acceptable
    assert traced.survivors
    assert traced.survivors.count == len(decision.probability)
    assert traced.survivors.mass == pytest.approx(math.fsum(model[id] for id in decision.probability))
    assert traced.entropy
    assert traced.entropy.before == pytest.approx(bits(model), abs=1e-9)
    assert traced.entropy.after == pytest.approx(bits(decision.probability), abs=1e-9)
    if params.is_greedy:
        assert (traced.source, traced.draw) == ("greedy", None)
    else:
        assert traced.source == "drawn"
        assert traced.draw
        assert traced.draw.u == uniform(params.seed, 0, len(output))
        assert traced.draw.low <= traced.draw.u < traced.draw.high
        assert traced.draw.high - traced.draw.low == pytest.approx(decision.probability[token], abs=1e-6)


def bits(probability: dict[int, float]) -> float:
    return -math.fsum(p * math.log2(p) for p in probability.values() if p > 0)


@given(st.integers(0, 2**32), st.integers(1, 50), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_the_histogram_counts_every_other_token(seed: int, top: int, shape: int) -> None:
    random = np.random.default_rng(seed)
    row = (random.normal(0, [0.0, 1.0, 5.0, 20.0][shape], 1000)).astype(np.float32)
    row[::100] = -np.inf
    token, traced = trace_of(row, SamplingParams(seed=seed), [], top)
    listed = {candidate.id for candidate in traced.candidates}
    assert token in listed
    assert set(np.argsort(-row, kind="stable")[:top].tolist()) <= listed
    rest = [id for id in range(1000) if id not in listed and row[id] > -np.inf]
    histogram = traced.rest
    assert histogram
    counts, masses = Counter[int](), Counter[int]()
    model = softmax(row.tolist(), np.argsort(-row, kind="stable").tolist(), 1.0)
    for id in rest:
        share = (float(row[id]) - histogram.low) / ((histogram.high - histogram.low) or math.inf)
        bin = min(63, max(0, math.floor(share * 64)))
        counts[bin] += 1
        masses[bin] += model[id]  # type: ignore[assignment]
    assert histogram.high == max(float(row[id]) for id in rest)
    assert histogram.low == max(min(float(row[id]) for id in rest), histogram.high - 32)
    assert histogram.counts == [counts[bin] for bin in range(64)]
    assert histogram.masses == pytest.approx([masses[bin] for bin in range(64)], rel=1e-9, abs=1e-15)


class OnlyMask:
    """A constraint that allows some tokens, forces others, or closes."""

    is_complete = False

    def __init__(self, allowed: set[int], forced: tuple[int, ...] = (), *, closes_with: int | None = None) -> None:
        self._allowed = allowed
        self._closes_with = closes_with
        self.forced = forced
        self.is_closing = False

    def mask(self) -> Any:
        return np.packbits([token in self._allowed for token in range(SIZE)], bitorder="little")

    def enforce_limits(self, token: int, work: object = None) -> int:
        if self._closes_with is None:
            return token
        self.is_closing = True
        return self._closes_with

    def accept(self, token: int) -> None:
        pass


def constrained_trace(constraint: OnlyMask, params: SamplingParams = NEUTRAL) -> tuple[int, TokenTrace]:
    row = np.linspace(4, -4, SIZE, dtype=np.float32)
    sampler = TracedSampler(params, 0, SIZE, constraint, 3)
    token = sampler.sample(row)
    return token, sampler.trace(token, row)


def test_the_mask_is_a_step_that_removes_candidates() -> None:
    token, traced = constrained_trace(OnlyMask({5, 6, 30}))
    assert token in (5, 6, 30)
    assert traced.steps == ["mask"]
    assert traced.allowed
    assert traced.allowed.count == 3
    removed = {candidate.id: candidate.removed_by for candidate in traced.candidates}
    assert removed == {0: "mask", 1: "mask", 2: "mask", 5: None, 6: None, 30: None}
    assert sum(candidate.after[0] for candidate in traced.candidates) == pytest.approx(1)


def test_forced_and_closing_tokens_say_so_and_have_no_draw() -> None:
    for constraint, source in ((OnlyMask({7}, (7,)), "forced"), (OnlyMask({1, 2, 7}, closes_with=7), "closing")):
        token, traced = constrained_trace(constraint)
        assert (token, traced.source, traced.draw) == (7, source, None)
        assert traced.survivors
        assert traced.survivors.count == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), parameters(5000))
def test_a_traced_sampler_chooses_the_same_tokens(seed: int, params: SamplingParams) -> None:
    random = np.random.default_rng(seed)
    plain, traced = Sampler(params, 0, 5000), TracedSampler(params, 0, 5000, None, 5)
    for _ in range(5):
        row = random.normal(0, 4, 5000).astype(np.float32)
        token = plain.sample(row)
        assert traced.sample(row) == token
        found = traced.trace(token, row)
        assert found.draw is None or found.draw.low <= found.draw.u < found.draw.high
        assert next(one for one in found.candidates if one.id == token).removed_by is None
        plain.accept(token)
        traced.accept(token)
