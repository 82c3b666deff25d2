"""A vLLM that can't keep the contract, fails or hangs: each is a typed error that says what to do."""

import asyncio
from typing import Any

import msgspec
import pytest
import structlog

from oruel.constraints.spec import JsonObjectSpec
from oruel.engine.vllm import plugin_watch
from oruel.errors import (
    OruelError,
    Overloaded,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnavailable,
    VLLMUnusable,
)
from oruel.types import SamplingParams
from tests.engine.vllm.asking import ask, engine_of, ids, run
from tests.engine.vllm.stub_vllm import REPLY, SCALE_OUT, StubVLLM, serve_stub

JSON = JsonObjectSpec()
END = 256


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
        stub = StubVLLM(version=5)  # type: ignore[arg-type]  # what no vLLM sends
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
