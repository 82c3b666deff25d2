"""What could end vLLM for everyone is refused before it reaches the batch, whoever sends it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from oruel_vllm.params_check import NEUTRAL, check_params

from oruel.constraints.spec import JsonObjectSpec
from oruel.engine.vllm.wire import CheckRequest, FromOruel, HelloRequest, RowRequest, to_extra_args
from tests.vllm_plugin.rows import row_request

pytest.importorskip("torch", reason="torch is not installed; make test-vllm runs this where it is")


def params_with(message: FromOruel, **vllm: Any) -> Any:
    """What the check reads of vLLM's SamplingParams."""
    return SimpleNamespace(**{**NEUTRAL, "extra_args": to_extra_args(message), **vllm})


def sampling(**changes: Any) -> RowRequest:
    row = row_request()
    return msgspec.structs.replace(row, sampling=replace(row.sampling, **changes))


def row(**changes: Any) -> RowRequest:
    return msgspec.structs.replace(row_request(), **changes)


@pytest.mark.parametrize(
    "message",
    [
        HelloRequest(),
        CheckRequest("n"),
        row_request(JsonObjectSpec()),
        sampling(temperature=2, top_k=200, top_p=0, min_p=1, repetition_penalty=0.1, frequency_penalty=-2),
        sampling(seed=-(2**63), logit_bias={0: -100, 2**18: 100}),
        sampling(temperature=1e-320, seed=2**63 - 1),
    ],
    ids=str,
)
def test_everything_that_oruel_sends_passes(message: FromOruel) -> None:
    check_params(params_with(message))


def test_requests_of_others_are_not_looked_at() -> None:
    for extra_args in (None, {}, {"other": float("nan")}):
        check_params(SimpleNamespace(extra_args=extra_args, temperature=0.7, logit_bias={1: 1.0}))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (sampling(temperature=-1.0), "sampling.temperature is -1"),
        (sampling(temperature=float("nan")), "sampling.temperature is nan"),
        (sampling(temperature=float("inf")), "sampling.temperature is inf"),
        (sampling(top_p=1.5), "sampling.top_p is 1.5"),
        (sampling(top_k=-1), "sampling.top_k is -1"),
        (sampling(top_k=201), "sampling.top_k is 201; it can be 0 to 200"),
        (sampling(min_p=float("nan")), "sampling.min_p is nan"),
        (sampling(seed=2**63), "sampling.seed is"),
        (sampling(repetition_penalty=0.0), "sampling.repetition_penalty is 0"),
        (sampling(presence_penalty=float("-inf")), "sampling.presence_penalty is -inf"),
        (sampling(logit_bias={-1: 1.0}), "sampling.logit_bias is -1"),
        (sampling(logit_bias={10**30: 1.0}), "sampling.logit_bias is 10"),
        (sampling(logit_bias={7: float("nan")}), "sampling.logit_bias.7 is nan"),
        (row(end_tokens=[5, -1]), "end_tokens is -1"),
        (row(mark=-1), "mark is -1"),
        (row(choice=-1), "choice is -1"),
        (row(choice=2**64), "choice is"),
        (row(max_tokens=0), "max_tokens is 0"),
    ],
    ids=str,
)
def test_what_a_step_could_not_compute_is_refused_by_name(message: FromOruel, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_params(params_with(message))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oruel": "row"}, "version None"),
        ({"oruel": {"type": "row", "version": 1}}, "missing required field"),
        ({"oruel": {"type": "check", "version": 1, "nonce": 5}}, "Expected `str`"),
    ],
    ids=str,
)
def test_a_broken_message_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_params(SimpleNamespace(extra_args=given))


@pytest.mark.parametrize("name", sorted(NEUTRAL))
def test_vllm_s_own_sampling_must_be_off(name: str) -> None:
    with pytest.raises(ValueError, match=f"the request sets {name}"):
        check_params(params_with(row_request(), **{name: object()}))
