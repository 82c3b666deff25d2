"""A vLLM with the plugin as a TokenEngine, against a stub of its token API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import structlog

from oruel.constraints.spec import JsonObjectSpec, schema_spec
from oruel.engine.generation import Generation
from oruel.engine.protocol import NO_TOKEN, TokenOutput
from oruel.engine.vllm import plugin_watch
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import FAILED_MARKS, Failure, FailureKind, RowRequest, ending_tokens
from oruel.errors import (
    EngineFailed,
    InvalidParameter,
    OruelError,
    Overloaded,
    UnsupportedParameter,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnavailable,
    VLLMReplaced,
    VLLMUnusable,
)
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import SamplingParams
from tests.engine.vllm.stub_vllm import REPLY, SCALE_OUT, VOCABULARY, StubVLLM, serve_stub

JSON = JsonObjectSpec()
END = 256


@asynccontextmanager
async def engine_of(stub: StubVLLM, **settings: Any) -> AsyncIterator[VLLMEngine]:
    timeouts = UpstreamTimeouts(
        connect=1.0, first_token=settings.pop("first_token", 5.0), idle=settings.pop("idle", 5.0)
    )
    async with upstream_client() as session:
        engine = VLLMEngine(TokenServer(session, stub.root, None, timeouts), VOCABULARY, model="demo", **settings)
        try:
            yield engine
        finally:
            await engine.close()


async def collect(generation: Generation, choices: int = 1) -> list[list[TokenOutput]]:
    answers: list[list[TokenOutput]] = [[] for _ in range(choices)]
    while not all(answer and answer[-1].finish for answer in answers):
        for choice, output in await generation.outputs():
            answers[choice].append(output)
    await generation.settled()
    return answers


async def ask(engine: VLLMEngine, *, choices: int = 1, max_tokens: int = 50, **more: Any) -> list[list[TokenOutput]]:
    with engine.generate([1, 2], more.pop("sampling", SamplingParams()), choices=choices, max_tokens=max_tokens,
                         **more) as generation:  # fmt: skip
        return await collect(generation, choices)


def ids(outputs: list[TokenOutput]) -> list[int]:
    return [output.token for output in outputs]


def run(stub: StubVLLM, **more: Any) -> list[TokenOutput]:
    """One choice of one request."""

    async def scenario() -> list[TokenOutput]:
        async with serve_stub(stub), engine_of(stub) as engine:
            return (await ask(engine, **more))[0]

    return asyncio.run(scenario())


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


def test_a_request_carries_all_that_the_contract_needs_and_nothing_that_vllm_would_apply() -> None:
    stub = StubVLLM()
    sampling = SamplingParams(0.5, top_p=0.9, seed=-(2**63), repetition_penalty=2, logit_bias={5: -1.5}, logprobs=3)
    run(stub, sampling=sampling, cache_salt="salt", tier="turbo")
    (body,) = stub.rows
    row = body["sampling_params"].pop("extra_args")["oruel"]
    assert body["sampling_params"] == {
        "temperature": 0, "detokenize": False, "ignore_eos": True, "max_tokens": 50, "stop_token_ids": [END],
        "logprobs": 4,
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


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"has_plugin": False}, VLLMUnusable, "pip install ./vllm_plugin"),
        ({"version": "0.31.2"}, VLLMUnusable, "0.31.2"),
        ({"names": ["other"]}, VLLMUnusable, "serves other models"),
        ({"refuse": (403, '{"error": {"message": "' + SCALE_OUT + '"}}')}, VLLMUnusable, "--enable-scale-out"),
        ({"refuse": (404, "{}")}, VLLMUnusable, "older than 0.32"),
        ({"refuse": (401, "{}")}, VLLMUnusable, "key_variable"),
        ({"refuse": (500, "oh")}, UpstreamFailed, "status 500"),
        ({"refuse": (503, "full")}, Overloaded, "overloaded"),
        ({"reply": msgspec.structs.replace(REPLY, tokenizer="0" * 32)}, VLLMUnusable, "another vocabulary"),
        ({"reply": msgspec.structs.replace(REPLY, vocabulary_size=100)}, VLLMUnusable, "100 tokens"),
        ({"reply": msgspec.structs.replace(REPLY, version=2)}, VLLMUnusable, "version 2"),
    ],
    ids=str,
)
def test_a_vllm_that_cannot_keep_the_contract_is_refused_by_name_and_gets_no_request(
    change: dict[str, Any], error: type[OruelError], said: str
) -> None:
    stub = StubVLLM(**change)
    with pytest.raises(error, match=said):
        run(stub)
    assert stub.rows == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"names": ["secret"]}, "it serves no demo, only: secret"),
        (
            {"reply": msgspec.structs.replace(REPLY, model="/srv/secret", tokenizer="0" * 32)},
            "vLLM has /srv/secret with 259 tokens, the tokenizer 259",
        ),
    ],
    ids=str,
)
def test_names_and_paths_of_the_vllm_are_for_the_log_and_not_for_clients(change: dict[str, Any], told: str) -> None:
    with pytest.raises(VLLMUnusable) as caught:
        run(StubVLLM(**change))
    assert "secret" not in caught.value.message
    assert caught.value.detail == told


def test_the_address_of_what_is_no_vllm_is_for_the_log_and_not_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr(plugin_watch, "log", log)

    async def scenario() -> None:
        stub = StubVLLM(version=5)  # type: ignore[arg-type]
        async with serve_stub(stub), engine_of(stub) as engine:
            with pytest.raises(VLLMUnusable, match="is no vLLM") as caught:
                await engine.start()
        assert str(stub.port) not in caught.value.message
        assert any(call.kwargs["at"] == stub.root for call in log.calls)

    asyncio.run(scenario())


def test_a_window_that_is_too_small_is_refused_with_both_numbers() -> None:
    async def scenario() -> None:
        async with serve_stub(StubVLLM()) as stub, engine_of(stub, window=4096) as engine:
            with pytest.raises(VLLMUnusable, match="Set context to 4094"):
                await engine.start()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "closed the connection"),
        (b'data: {"choices": [{"index": 0, "token', "closed the connection"),
        (b'data: {"choices": 1}\n\n', "can't be read"),
        (b"data: " + b"[" * 10**5 + b"\n\n", "can't be read"),
        (b"data: \xff\n\n", "can't be read"),
        (b"data: " + b"x" * (2**20 + 1), "more than 1048576 bytes"),
        (b'data: {"choices": [{"index": 0, "token_ids": [259]}]}\n\n', "vocabulary"),
        (b'data: {"choices": [{"index": 0, "token_ids": [-1]}]}\n\n', "vocabulary"),
        (b'data: {"choices": [{"index": 1, "token_ids": [1]}]}\n\n', "vocabulary"),
        (
            b'data: {"choices": [{"index": 0, "token_ids": [1], "finish_reason": "abort"}]}\n\n',
            "ended this answer early",
        ),
        (b'data: {"choices": [{"index": 0, "token_ids": [65, 65, 65]}]}\n\n', "more than the 2 tokens"),
        (b'data: {"error": {"message": "kaputt", "code": 500}}\n\n', "status 500"),
        (b'data: {"error": {"message": "no", "code": 400}}\n\n', "status 400"),
        (b'data: {"error": 1}\n\n', "status 500"),
        (b"data: [DONE]\n\n", "ended the answer without"),
    ],
    ids=lambda value: str(value[:60]),
)
def test_a_stream_that_breaks_off_or_makes_no_sense_is_a_typed_error(raw: bytes, said: str) -> None:
    with pytest.raises(UpstreamFailed, match=said):
        run(StubVLLM(raw=raw), max_tokens=2)


def test_after_a_failure_vllm_has_to_introduce_itself_again() -> None:
    async def scenario() -> None:
        stub = StubVLLM()
        async with serve_stub(stub), engine_of(stub) as engine:
            await ask(engine)
            asked = len(stub.bodies)
            await ask(engine)
            assert len(stub.bodies) == asked + 1, "a vLLM that was heard just now is not asked again"
            stub.raw = b""
            with pytest.raises(UpstreamFailed):
                await ask(engine)
            stub.raw, stub.has_plugin = None, False
            rows = len(stub.rows)
            with pytest.raises(VLLMUnusable, match="without Oru'el's plugin"):
                await ask(engine)
            assert len(stub.rows) == rows, "nothing is sent to a vLLM without the plugin"
            assert isinstance(engine.problem, VLLMUnusable)
            stub.has_plugin = True
            assert ids((await ask(engine))[0]) == [65, 66, END]
            assert engine.problem is None

    asyncio.run(scenario())


def test_after_a_silence_vllm_is_checked_and_a_changed_one_introduces_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel.engine.vllm.plugin_watch.TRUST_SECONDS", 0.0)

    async def scenario() -> None:
        stub = StubVLLM()
        async with serve_stub(stub), engine_of(stub) as engine:
            await ask(engine)
            await ask(engine)
            kinds = [body["sampling_params"]["extra_args"]["oruel"]["type"] for body in stub.bodies]
            assert kinds == ["hello", "row", "check", "row"]
            stub.reply = msgspec.structs.replace(REPLY, plugin="0.2.0")
            await ask(engine)
            assert engine.hello == stub.reply
            stub.has_plugin = False
            with pytest.raises(VLLMUnusable):
                await ask(engine)

    asyncio.run(scenario())


def test_a_vllm_that_is_full_need_not_introduce_itself_again() -> None:
    async def scenario() -> None:
        stub = StubVLLM()
        async with serve_stub(stub), engine_of(stub) as engine:
            await ask(engine)
            asked, stub.refuse = len(stub.bodies), (429, "full")
            for _ in range(3):
                with pytest.raises(Overloaded):
                    await ask(engine)
            assert engine.is_trusted
            assert len(stub.bodies) == asked + 3

    asyncio.run(scenario())


def test_an_answer_that_has_ended_is_not_aborted() -> None:
    async def scenario() -> None:
        stub = StubVLLM()
        async with serve_stub(stub), engine_of(stub) as engine:
            with engine.generate([1], SamplingParams(), choices=1, max_tokens=50) as generation:
                while not any(output.finish for _, output in await generation.outputs()):
                    pass
                generation.cancel(0)
                await generation.settled()
            assert generation.cached == 1
            await asyncio.sleep(0.05)
        assert not any(event.is_set() for event in stub.aborted.values())

    asyncio.run(scenario())


def test_a_vllm_that_is_not_there_is_unavailable() -> None:
    async def scenario() -> None:
        async with serve_stub(StubVLLM()) as stub:
            pass
        async with engine_of(stub) as engine:
            with pytest.raises(UpstreamUnavailable, match="can't be reached"):
                await ask(engine)

    asyncio.run(scenario())


def test_a_vllm_that_hangs_at_the_handshake_is_a_timeout_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(stub: StubVLLM, request: Any) -> Any:
        await asyncio.sleep(30)

    monkeypatch.setattr(StubVLLM, "tell_version", hang)
    monkeypatch.setattr("oruel.engine.vllm.token_server.TELL_SECONDS", 0.2)

    async def scenario() -> None:
        async with serve_stub(StubVLLM()) as stub, engine_of(stub) as engine:
            with pytest.raises(UpstreamTimedOut, match=r"nothing for 0\.2 seconds\. Restart the vLLM there"):
                await engine.start()

    asyncio.run(scenario())


def test_a_vllm_that_hangs_is_a_timeout() -> None:
    async def scenario() -> None:
        stub = StubVLLM(script=lambda row: [65, 66])
        async with serve_stub(stub), engine_of(stub, idle=0.2) as engine:
            await engine.start()
            stub.pace = 30
            with pytest.raises(UpstreamTimedOut):
                await ask(engine)

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
    schema = {"type": "object", "x-notes": "n" * 2**19}
    with pytest.raises(InvalidParameter, match="takes 524,288") as caught:
        run(stub, constraint=schema_spec(schema))
    assert caught.value.param == "response_format.json_schema.schema"
    assert stub.rows == []


def test_a_logit_bias_that_leaves_no_mark_is_refused() -> None:
    with pytest.raises(UnsupportedParameter, match="logit_bias"):
        run(StubVLLM(), sampling=SamplingParams(logit_bias={257: 1.0, 258: 1.0}))
