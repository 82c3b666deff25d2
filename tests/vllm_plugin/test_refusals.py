"""Requests that only another client than Oru'el would send to vLLM can't harm the rows of others."""

import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from oruel_vllm.params_check import check_params
from oruel_vllm.plugin import Plugin

from oruel.engine.vllm.wire import FAILED_MARKS, HelloReply, HelloRequest, hello_tokens, to_extra_args
from tests.vllm_plugin.rows import SIZE, row_request

REPLY = HelloReply(
    plugin="0", vllm="0", model="a model", vocabulary_size=SIZE, tokenizer="", window=99, parallel=4, max_logprobs=21,
    runner="v1",
)  # fmt: skip


def params(extra_args: dict[str, Any] | None, **more: Any) -> Any:
    neutral = {"temperature": 0.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "repetition_penalty": 1.0}
    return SimpleNamespace(extra_args=extra_args, **(neutral | more))


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 201},
        {"top_k": -1},
        {"top_p": 1.5},
        {"min_p": math.nan},
        {"repetition_penalty": 0.0},
        {"frequency_penalty": math.inf},
        {"logit_bias": {3: math.nan}},
        {"logit_bias": {-3: 1.0}},
    ],
    ids=str,
)
def test_parameters_that_would_break_a_step_are_refused(sampling: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"extra_args\.oruel"):
        check_params(params(to_extra_args(row_request(**sampling))))


@pytest.mark.parametrize("change", [{"choice": -1}, {"mark": -1}, {"end_tokens": [-5]}], ids=str)
def test_negative_numbers_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        check_params(params(to_extra_args(msgspec.structs.replace(row_request(), **change))))


def test_vllms_own_sampling_is_refused_beside_ours_and_left_alone_without() -> None:
    check_params(params(to_extra_args(row_request())))
    check_params(params(None, temperature=0.8))
    with pytest.raises(ValueError, match="temperature"):
        check_params(params(to_extra_args(row_request()), temperature=0.8))


@pytest.mark.parametrize("change", [{"mark": SIZE}, {"end_tokens": [256, 2**40]}, {"logit_bias": {SIZE: 1.0}}], ids=str)
def test_a_row_that_names_tokens_the_model_doesnt_have_fails_by_itself(change: dict[str, Any]) -> None:
    plugin = Plugin(REPLY, "no folder")
    bias = change.pop("logit_bias", {})
    request = msgspec.structs.replace(row_request(logit_bias=bias), engine=plugin.reply.fingerprint, **change)
    row = plugin.row(to_extra_args(request), [])
    assert row
    tokens = [row.next(position) for position in range(40)]
    assert len(set(tokens[:FAILED_MARKS])) == 1
    assert all(isinstance(token, int) and 0 <= token < SIZE for token in tokens)


def test_the_plugin_introduces_itself_token_by_token() -> None:
    plugin = Plugin(REPLY, "no folder")
    row = plugin.row(to_extra_args(HelloRequest()), [])
    assert row
    told = hello_tokens(plugin.reply)
    assert [row.next(position) for position in range(len(told))] == told


def test_a_request_of_another_client_has_no_row() -> None:
    assert Plugin(REPLY, "no folder").row(None, []) is None
    assert Plugin(REPLY, "no folder").row({"other": 1}, []) is None
