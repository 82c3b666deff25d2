"""Log-probabilities are those of the model's own distribution."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.sampling import Sampler, logprobs
from oruel.types import SamplingParams


def test_logprobs_of_a_small_distribution() -> None:
    row = np.log(np.array([0.125, 0.5, 0.25, 0.125])).astype(np.float32)
    chosen, best = logprobs(row, 0, 3)
    assert chosen == pytest.approx(math.log(0.125), abs=1e-6)
    assert [token for token, _ in best] == [1, 2, 0], "of equals, the lower id"
    assert [math.exp(log) for _, log in best] == pytest.approx([0.5, 0.25, 0.125], abs=1e-6)


@given(st.lists(st.floats(-80, 80, width=32), min_size=2, max_size=60), st.data())
def test_logprobs_equal_the_log_of_the_exact_softmax(logits: list[float], data: st.DataObject) -> None:
    token = data.draw(st.integers(0, len(logits) - 1))
    top = data.draw(st.integers(0, 20))
    chosen, best = logprobs(np.array(logits, np.float32), token, top)
    peak = max(logits)
    log_total = math.log(math.fsum(math.exp(logit - peak) for logit in logits))
    ranked = sorted(range(len(logits)), key=lambda token: (-logits[token], token))[:top]
    assert chosen == pytest.approx(logits[token] - peak - log_total, rel=1e-12, abs=1e-12)
    assert [token for token, _ in best] == ranked
    assert [log for _, log in best] == pytest.approx([logits[token] - peak - log_total for token in ranked], rel=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 5])
def test_ties_in_a_large_vocabulary_go_to_the_lowest_ids(decimals: int) -> None:
    row = np.round(np.random.default_rng(decimals).normal(0, 3, 150_000), decimals).astype(np.float32)
    _, best = logprobs(row, 0, 20)
    assert [token for token, _ in best] == np.argsort(-row, kind="stable")[:20].tolist()


def test_huge_logits_do_not_overflow() -> None:
    chosen, best = logprobs(np.array([3e38, -3e38, 3e38], np.float32), 0, 1)
    assert chosen == pytest.approx(-math.log(2))
    assert best == [(0, chosen)]


def test_a_token_of_probability_zero_is_not_an_alternative() -> None:
    row = np.array([0, -math.inf, 0], np.float32)
    assert [token for token, _ in logprobs(row, 0, 3)[1]] == [0, 2]
    assert logprobs(row, 1, 0) == (-math.inf, [])


def test_logprobs_ignore_parameters_and_do_not_modify_the_row() -> None:
    row = np.array([0, 1, 2], np.float32)
    row.flags.writeable = False
    before = logprobs(row, 1, 3)
    sampler = Sampler(SamplingParams(temperature=0.5, logit_bias={0: 100.0}, presence_penalty=1.0), 0, 3)
    sampler.accept(sampler.sample(row))
    sampler.sample(row)
    assert logprobs(row, 1, 3) == before
