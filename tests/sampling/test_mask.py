"""A constraint excludes tokens and changes nothing else, however few or many it allows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oruel.types import SamplingParams
from tests.sampling.paths import BuildSampler, every_path
from tests.sampling.reference import decide

Allowed = NDArray[np.bool_]


class Fixed:
    """Allows the same tokens at each step."""

    forced: Sequence[int] = ()
    is_complete = is_closing = False

    def __init__(self, allowed: Allowed) -> None:
        # Masks come in whole words of 32 bits.
        self._bits = np.packbits(np.pad(allowed, (0, -len(allowed) % 32)), bitorder="little")

    def mask(self) -> NDArray[np.uint8]:
        return self._bits

    def enforce_limits(self, token: int, work: object = None) -> int:
        return token

    def accept(self, token: int) -> None: ...


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float32], Allowed]:
    """A row and its allowed tokens: a few single ones, runs, or nearly all."""
    size = draw(st.one_of(st.integers(2, 100), st.integers(1_000, 9_000)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.002, 0.1, 0.6, 0.98, 1.0]))
    run = draw(st.sampled_from([1, 8, 40]))
    allowed = np.repeat(random.random(size // run + 1) < share, run)[:size]
    allowed[random.integers(size)] = True
    return (2 * random.normal(size=size)).astype(np.float32), allowed


@every_path
@settings(deadline=None)
@given(
    case=cases(),
    top_k=st.sampled_from([0, 1, 5, 40]),
    top_p=st.sampled_from([1.0, 0.9]),
    seed=st.integers(0, 1000),
    biased=st.booleans(),
)
def test_masking_equals_setting_the_other_logits_to_minus_infinity(
    build: BuildSampler, case: tuple[NDArray[np.float32], Allowed], top_k: int, top_p: float, seed: int, biased: bool
) -> None:
    row, allowed = case
    bias = dict.fromkeys(range(0, len(row), 7), 3.0) if biased else {}
    params = SamplingParams(temperature=0.8, top_k=top_k, top_p=top_p, seed=seed, logit_bias=bias)
    before = row.copy()
    token = build(params, 0, len(row), Fixed(allowed)).sample(row)
    assert np.array_equal(row, before)
    decision = decide(np.where(allowed, row, -np.inf).tolist(), params, 0, [])
    assert allowed[token]
    assert token in decision.acceptable or not decision.firm


@every_path
@pytest.mark.parametrize("size", [40, 5_000])
@pytest.mark.parametrize("allowed", [slice(3, 5), slice(2, None)])
@pytest.mark.parametrize("params", [{"temperature": 0.0}, {"top_k": 40}, {"top_p": 0.5}], ids=str)
def test_an_allowed_token_is_chosen_even_if_the_model_excludes_all_of_them(
    build: BuildSampler, size: int, allowed: slice, params: dict[str, Any]
) -> None:
    mask, row = np.zeros(size, np.bool_), np.full(size, -np.inf, np.float32)
    mask[allowed], row[0] = True, 1.0
    assert build(SamplingParams(**params), 0, size, Fixed(mask)).sample(row) == allowed.start
