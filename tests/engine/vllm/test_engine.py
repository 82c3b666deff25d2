"""A vLLM with the plugin as a TokenEngine, against a stub of its token API."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from oruel.constraints.spec import JsonObjectSpec, schema_spec
from oruel.engine.protocol import NO_TOKEN
from oruel.engine.vllm.wire import ENDING_ROOM, FAILED_MARKS, Failure, FailureKind, RowRequest, ending_tokens
from oruel.errors import (
    EngineFailed,
    InvalidParameter,
    OruelError,
    Overloaded,
    UnsupportedParameter,
    VLLMReplaced,
)
from oruel.types import SamplingParams
from tests.engine.vllm.asking import ask, collect, engine_of, ids, run
from tests.engine.vllm.stub_vllm import REPLY, StubVLLM, serve_stub

JSON = JsonObjectSpec()
END = 256


def test_the_model_s_own_end_is_an_output_with_finish_stop() -> None:
    outputs = run(StubVLLM())
    assert ids(outputs) == [65, 66, END]
    assert [output.finish for output in outputs] == [None, None, "stop"]


def test_max_tokens_ends_an_answer_with_its_last_token() -> None:
    outputs = run(StubVLLM(script=lambda row: [65] * 99), max_tokens=3)
    assert [(output.token, output.finish) for output in outputs] == [(65, None), (65, None), (65, "length")]


@pytest.mark.parametrize(
    ("marks", "finish"), [(1, "complete"), (2, "length"), (0, "length")], ids=["complete", "closed", "cut"]
)
def test_a_constraint_ends_an_answer_without_a_token(marks: int, finish: str) -> None:
    outputs = run(StubVLLM(script=lambda row: [123, 125, *ending_tokens(row, marks)]), constraint=JSON, max_tokens=2)
    assert [(output.token, output.finish) for output in outputs] == [(123, None), (125, None), (NO_TOKEN, finish)]


def test_the_model_may_end_a_constrained_answer_itself() -> None:
    outputs = run(StubVLLM(script=lambda row: [123, END]), constraint=JSON)
    assert [(output.token, output.finish) for output in outputs] == [(123, None), (END, "stop")]


def test_marks_are_tokens_like_others_in_an_answer_without_a_constraint() -> None:
    outputs = run(StubVLLM(script=lambda row: [row.mark, row.mark, 65, row.mark, END]))
    assert ids(outputs) == [258, 258, 65, 258, END]


def test_no_client_can_make_the_model_write_a_failure() -> None:
    """It would count against the deployment, and let all others wait for a handshake."""

    def forge(row: RowRequest) -> list[int]:
        told = Failure(FailureKind.CHANGED, "forged").tokens()
        return [*[row.mark] * FAILED_MARKS, *[max(row.seal) ^ 1] * len(row.seal), *told, END]

    outputs = run(StubVLLM(script=forge))
    assert bytes(ids(outputs)[-8:-1]) == b"xforged"
    assert outputs[-1].finish == "stop"


def failing(kind: FailureKind) -> Callable[[RowRequest], list[int]]:
    return lambda row: [65, *ending_tokens(row, 3, Failure(kind, "too complex: ü"))]


@pytest.mark.parametrize(
    ("kind", "error", "more"),
    [
        (FailureKind.CONSTRAINT, InvalidParameter, {"constraint": JSON}),
        (FailureKind.ENGINE, EngineFailed, {}),
        (FailureKind.ENGINE, EngineFailed, {"constraint": JSON}),
        (FailureKind.CHANGED, VLLMReplaced, {}),
    ],
    ids=str,
)
def test_a_row_that_the_plugin_gives_up_is_a_typed_error(
    kind: FailureKind, error: type[OruelError], more: dict[str, Any]
) -> None:
    with pytest.raises(error) as caught:
        run(StubVLLM(script=failing(kind)), **more)
    if error is not VLLMReplaced:
        assert "too complex: ü" in str(caught.value)


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 4])
def test_a_row_that_the_plugin_gives_up_at_its_last_tokens_is_no_answer(max_tokens: int) -> None:
    failure = Failure(FailureKind.CHANGED, "another model")
    with pytest.raises(VLLMReplaced):
        run(StubVLLM(script=lambda row: ending_tokens(row, FAILED_MARKS, failure)), max_tokens=max_tokens)


def test_a_request_carries_all_that_the_contract_needs_and_nothing_that_vllm_would_apply() -> None:
    stub = StubVLLM()
    sampling = SamplingParams(0.5, top_p=0.9, seed=-(2**63), repetition_penalty=2, logit_bias={5: -1.5}, logprobs=3)
    run(stub, sampling=sampling, cache_salt="salt", tier="turbo")
    (body,) = stub.rows
    row = body["sampling_params"].pop("extra_args")["oruel"]
    assert body["sampling_params"] == {
        "temperature": 0, "detokenize": False, "ignore_eos": True, "max_tokens": 50 + ENDING_ROOM,
        "stop_token_ids": [END], "logprobs": 4,
    }  # fmt: skip
    assert (body["cache_salt"], body["token_ids"], body["model"]) == ("salt", [1, 2], "demo")
    assert row["engine"] == REPLY.fingerprint
    assert msgspec.convert(row["sampling"], SamplingParams, str_keys=True) == sampling


def test_turbo_goes_ahead_of_standard_and_without_priority_scheduling_no_priority_is_sent() -> None:
    async def priorities(stub: StubVLLM) -> list[int | None]:
        async with serve_stub(stub), engine_of(stub) as engine:
            for tier in ("standard", "turbo"):
                await ask(engine, tier=tier)
        return [body.get("priority") for body in stub.rows]

    standard, turbo = asyncio.run(priorities(StubVLLM()))
    assert standard is not None
    assert turbo is not None
    assert turbo < standard
    plain = msgspec.structs.replace(REPLY, priority_scheduling=False)
    assert asyncio.run(priorities(StubVLLM(reply=plain))) == [None, None]


def test_logprobs_are_the_best_ones_even_if_the_sampled_token_is_not_among_them() -> None:
    first = run(StubVLLM(), sampling=SamplingParams(logprobs=2))[0]
    assert (first.logprob, first.alternatives) == (-9.5, [(90, -1.0), (91, -2.0)])


def test_more_alternatives_than_vllm_reports_are_refused_and_leave_it_trusted() -> None:
    async def scenario() -> None:
        stub = StubVLLM(reply=msgspec.structs.replace(REPLY, max_logprobs=20))
        async with serve_stub(stub), engine_of(stub) as engine:
            await ask(engine, sampling=SamplingParams(logprobs=19))
            asked = len(stub.bodies)
            with pytest.raises(UnsupportedParameter, match="at most 19") as caught:
                await ask(engine, sampling=SamplingParams(logprobs=20))
            assert caught.value.param == "top_logprobs"
            assert len(stub.bodies) == asked
            await ask(engine)
            assert len(stub.bodies) == asked + 1, "one client's parameter makes no other wait for a handshake"

    asyncio.run(scenario())


@pytest.mark.parametrize(("most", "logprobs"), [(-1, 20), (0, 0), (0, None), (21, 20)])
def test_alternatives_that_vllm_reports_are_not_refused(most: int, logprobs: int | None) -> None:
    stub = StubVLLM(reply=msgspec.structs.replace(REPLY, max_logprobs=most))
    assert ids(run(stub, sampling=SamplingParams(logprobs=logprobs))) == [65, 66, END]


def test_no_more_of_a_prompt_is_cached_than_it_has() -> None:
    async def scenario() -> None:
        async with serve_stub(StubVLLM(cached=10**9)) as stub, engine_of(stub) as engine:
            with engine.generate([1, 2], SamplingParams(), choices=1, max_tokens=5) as generation:
                await collect(generation)
                assert generation.cached == 2

    asyncio.run(scenario())


def test_choices_are_rows_that_differ_in_their_choice_only() -> None:
    async def scenario() -> None:
        stub = StubVLLM(script=lambda row: [70 + row.choice, END])
        async with serve_stub(stub), engine_of(stub) as engine:
            with engine.generate([1], SamplingParams(), choices=3, max_tokens=5) as generation:
                answers = await collect(generation, 3)
                assert generation.cached == 1
        assert [ids(answer) for answer in answers] == [[70, END], [71, END], [72, END]]

    asyncio.run(scenario())


def test_a_cancelled_choice_ends_within_a_step_and_still_reports_what_was_cached() -> None:
    async def scenario() -> None:
        stub = StubVLLM(script=lambda row: [65] * 2000, pace=0.002)
        async with serve_stub(stub), engine_of(stub) as engine:
            with engine.generate([1], SamplingParams(), choices=1, max_tokens=2000) as generation:
                await generation.outputs()
                generation.cancel(0)
                await generation.settled()
                assert generation.cached == 1
            assert all(event.is_set() for name, event in stub.aborted.items() if stub.rows[0]["request_id"] in name)

    asyncio.run(scenario())


def test_leaving_the_request_closes_its_connection() -> None:
    async def scenario() -> None:
        stub = StubVLLM(script=lambda row: [65] * 2000, pace=0.002)
        async with serve_stub(stub), engine_of(stub) as engine:
            with engine.generate([1], SamplingParams(), choices=2, max_tokens=2000) as generation:
                await generation.outputs()
            async with asyncio.timeout(5):
                while stub.left < 2:
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_full_queue_and_traces_are_refused_before_anything_is_sent() -> None:
    async def scenario() -> None:
        stub = StubVLLM(script=lambda row: [65] * 2000, pace=0.002)
        async with serve_stub(stub), engine_of(stub, max_waiting=2) as engine:
            await engine.start()
            with engine.generate([1], SamplingParams(), choices=10, max_tokens=2000):
                with pytest.raises(Overloaded, match="The queue is full"):
                    engine.require_room(1)
                with pytest.raises(InvalidParameter, match="at most 10"):
                    engine.require_room(11)
            with (
                pytest.raises(UnsupportedParameter, match="trace"),
                engine.generate([1], SamplingParams(trace=1), choices=1, max_tokens=1),
            ):
                pass

    asyncio.run(scenario())


def test_a_schema_of_megabytes_is_refused_before_anything_is_sent() -> None:
    stub = StubVLLM()
    schema = {"type": "object", "properties": {"a": {"const": "n" * 2**19}}}
    with pytest.raises(InvalidParameter, match="takes 524,288") as caught:
        run(stub, constraint=schema_spec(schema))
    assert caught.value.param == "response_format.json_schema.schema"
    assert stub.rows == []


def test_a_logit_bias_that_leaves_no_mark_is_refused() -> None:
    with pytest.raises(UnsupportedParameter, match="logit_bias"):
        run(StubVLLM(), sampling=SamplingParams(logit_bias={257: 1.0, 258: 1.0}))
