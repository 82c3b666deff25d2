"""What the plugin does with messages that were not meant for the vLLM that it runs in."""

import msgspec
import pytest
from oruel_vllm.plugin import BUG_MESSAGE, CHANGED_MESSAGE, Plugin
from oruel_vllm.row import Row, SampledRow, ScriptedRow

from oruel.engine.vllm.wire import (
    FAILED_MARKS,
    Failure,
    FailureKind,
    HelloReply,
    RowRequest,
    ending_tokens,
    to_extra_args,
)
from oruel.types import SamplingParams
from tests.vllm_plugin.rows import SIZE, row_request

REPLY = HelloReply(
    plugin="0.1.0",
    vllm="0.32.0",
    model="demo",
    vocabulary_size=SIZE,
    tokenizer="",
    window=4096,
    parallel=8,
    max_logprobs=21,
    runner="v1",
)
FOR_US = msgspec.structs.replace(row_request(), engine=REPLY.fingerprint)


@pytest.fixture(scope="module")
def plugin() -> Plugin:
    return Plugin(REPLY, "/no/such/folder")


def row_of(plugin: Plugin, request: RowRequest) -> Row | None:
    return plugin.row(to_extra_args(request), [])


def test_a_request_for_this_engine_is_sampled(plugin: Plugin) -> None:
    assert isinstance(row_of(plugin, FOR_US), SampledRow)


def test_a_request_for_another_engine_is_told_so(plugin: Plugin) -> None:
    request = row_request()
    row = row_of(plugin, request)
    told = ending_tokens(request, FAILED_MARKS, Failure(FailureKind.CHANGED, CHANGED_MESSAGE))
    assert isinstance(row, ScriptedRow)
    assert [row.next(position) for position in range(len(told))] == told


@pytest.mark.parametrize(
    "change",
    [
        {"mark": SIZE},
        {"end_tokens": [3, SIZE]},
        {"sampling": SamplingParams(logit_bias={SIZE: 1.0})},
        {"mark": SIZE, "engine": "an engine with a larger vocabulary"},
    ],
    ids=str,
)
def test_a_request_with_tokens_that_the_model_does_not_have_touches_no_logit_that_is_not_there(
    plugin: Plugin, change: dict[str, object]
) -> None:
    row = row_of(plugin, msgspec.structs.replace(FOR_US, **change))
    assert isinstance(row, ScriptedRow)
    assert all(0 <= int(row.next(position)) < SIZE for position in range(50))


def test_a_row_that_names_no_token_but_its_mark_is_sampled(plugin: Plugin) -> None:
    assert isinstance(row_of(plugin, msgspec.structs.replace(FOR_US, end_tokens=[], seal=[])), SampledRow)


def test_a_fault_in_making_a_row_fails_the_row_and_not_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("oruel_vllm.plugin.SampledRow", fail)
    row = row_of(Plugin(REPLY, "/no/such/folder"), FOR_US)
    told = ending_tokens(FOR_US, FAILED_MARKS, Failure(FailureKind.ENGINE, BUG_MESSAGE))
    assert row
    assert [row.next(position) for position in range(len(told))] == told
