"""Another server as a backend: what it sends is passed on, what can be mended is, and what can't is a clear error."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from oruel.backends.upstream import Patience, UpstreamBackend, upstream_client
from oruel.errors import ContextLengthExceeded, InvalidParameter, UpstreamFailed
from oruel.types import (
    ChatRequest,
    Delta,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
    ToolCall,
    ToolChoice,
    UpstreamKind,
    Usage,
)
from tests.stub_server import DONE, HANG, HEAD, Stub, chunk, event, saying, status, stub_server, usage

pytestmark = pytest.mark.anyio

REQUEST = ChatRequest("id", "mine", (Message("user", "Hello"),), SamplingParams(reproducible=False), max_tokens=20)
QUICK = Patience(connect=1.0, first_token=0.3, idle=0.3)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with stub_server() as running:
        yield running


async def answered(
    stub: Stub, request: ChatRequest = REQUEST, kind: UpstreamKind = "vllm", key: str | None = None
) -> list[Delta]:
    async with upstream_client() as client:
        backend = UpstreamBackend(
            client, stub.base_url, kind, model="mine", upstream_model="theirs", key=key, patience=QUICK
        )
        return [delta async for delta in backend.stream(request)]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_a_stream_is_passed_on_under_our_name(stub: Stub) -> None:
    stub.script = saying("Hel", "lo €", "!")
    deltas = await answered(stub, key="secret")
    assert text(deltas) == "Hello €!"
    assert {delta.model for delta in deltas} == {"mine"}
    assert [delta.finish for delta in deltas if delta.finish] == ["stop"]
    assert deltas[-1].usage == Usage(3, 3)
    assert stub.bodies[0]["model"] == "theirs"
    assert stub.bodies[0]["stream"] is True


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_chunks_may_be_cut_anywhere(stub: Stub, size: int) -> None:
    data = b"".join(part for part in saying("a", "é€", "\U0001f600")[1:] if isinstance(part, bytes)).replace(
        b"\n\n", b"\r\n\r\n"
    )
    stub.script = [HEAD, *(data[start : start + size] for start in range(0, len(data), size))]
    assert text(await answered(stub)) == "aé€\U0001f600"


MENDED: list[tuple[str, list[Any], ChatRequest, str]] = [
    ("a stop string left in", saying("one", " ST", "OP two"), replace(REQUEST, stop=("STOP",)), "one "),
    ("text held for a stop that never came", saying("one S", "T"), replace(REQUEST, stop=("STOP",)), "one ST"),
    ("comments and other fields", [HEAD, b": hello\n\nid: 1\nevent: x\n", *saying("a")[1:]], REQUEST, "a"),
    ("no [DONE]", saying("a", "b")[:-1], REQUEST, "ab"),
    ("fields nobody knows", [HEAD, event({"x": [1], "choices": [{"delta": {"content": "a", "y": 1}}]}), *saying()[1:]],
     REQUEST, "a"),
    ("an unknown finish", [HEAD, chunk("a"), chunk(finish="eos_token"), DONE], REQUEST, "a"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "script", "request_", "expected"), MENDED, ids=[row[0] for row in MENDED])
async def test_what_can_be_mended_is(
    stub: Stub, name: str, script: list[Any], request_: ChatRequest, expected: str
) -> None:
    stub.script = script
    deltas = await answered(stub, request_)
    assert text(deltas) == expected
    assert [delta.finish for delta in deltas if delta.finish] == ["stop"]
    assert deltas[-1].usage is not None


async def test_forgotten_usage_is_counted_and_lies_are_bounded(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a"), chunk("b"), chunk(finish="stop"), DONE]
    assert (await answered(stub))[-1].usage == Usage(0, 2)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(5, 10**30), DONE]
    assert (await answered(stub))[-1].usage == Usage(5, 2**31)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(-5, 7, prompt_tokens_details={"cached_tokens": 99}), DONE]
    assert (await answered(stub))[-1].usage == Usage(0, 7, 0)


async def test_a_server_that_writes_on_without_end_is_left_at_the_stop_string(stub: Stub) -> None:
    stub.script = [HEAD, chunk("one STOP"), *([chunk("x" * 1000)] * 2000), HANG]
    assert text(await answered(stub, replace(REQUEST, stop=("STOP",)))) == "one "


async def test_fragments_of_calls_are_made_whole(stub: Stub) -> None:
    fragments = [
        [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"a"'}}],
        [{"function": {"arguments": ": 1}"}}],
        [{"id": "c2", "function": {"name": "g", "arguments": {"b": 2}}}],
    ]
    stub.script = [HEAD, *(chunk(tool_calls=one) for one in fragments), chunk(finish="tool_calls"), DONE]
    pieces = [piece for delta in await answered(stub) for piece in delta.tool_calls]
    begun = [(piece.index, piece.id, piece.name) for piece in pieces if piece.name]
    assert begun == [(0, "c1", "f"), (1, "c2", "g")]
    assert "".join(piece.arguments for piece in pieces if piece.index == 0) == '{"a": 1}'
    assert json.loads("".join(piece.arguments for piece in pieces if piece.index == 1)) == {"b": 2}


FAILURES: list[tuple[str, list[Any], str]] = [
    ("hangs before an answer", [HANG], "said nothing for 0.3 seconds"),
    ("hangs before the first event", [HEAD, HANG], "said nothing for 0.3 seconds"),
    ("hangs in the middle", [HEAD, chunk("a"), HANG], "said nothing for 0.3 seconds"),
    ("resets before an answer", [None], "broke off"),
    ("ends in the middle", [HEAD, chunk("a")], "ended its stream before the answer"),
    ("sends garbage", [HEAD, b"data: {not json\n\n"], "no chunk"),
    ("sends another shape", [HEAD, event({"choices": "many"})], "no chunk"),
    ("sends a list", [HEAD, event([1, 2])], "no chunk"),
    ("sends a choice that nobody asked for", [HEAD, chunk("a", index=3)], "choice 3 of 1"),
    ("reports an error in its stream", [HEAD, event({"error": {"message": "out of memory"}})], "out of memory"),
    ("sends a page", status(200, "<html>", "text/html"), '"text/html"'),
    ("fails", status(500, '{"error": {"message": "boom"}}'), "status 500: boom"),
    ("is overloaded", status(429, "slow down", "text/plain"), "status 429: slow down"),
    ("wants another key", status(401, '{"detail": "no"}'), "status 401"),
    ("sends an event without end", [HEAD, *([b"x" * 2**18] * 8), HANG], "an event of more than"),
]


@pytest.mark.parametrize(("name", "script", "words"), FAILURES, ids=[row[0] for row in FAILURES])
async def test_what_cannot_be_mended_is_a_clear_error(stub: Stub, name: str, script: list[Any], words: str) -> None:
    stub.script = script
    with pytest.raises(UpstreamFailed, match=words) as failed:
        await asyncio.wait_for(answered(stub), 5)
    assert failed.value.status == 502


async def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    async with stub_server() as gone:
        pass
    with pytest.raises(UpstreamFailed, match="can't be reached"):
        await answered(gone)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"error": {"message": "top_k is wrong", "param": "top_k"}}', "top_k"),
        ('{"object": "error", "message": "top_k is wrong", "param": null}', None),
        ('{"message": "top_k is wrong", "code": [400]}', None),
        ("top_k is wrong", None),
    ],
)
async def test_a_request_that_the_other_server_refuses_is_the_callers_to_mend(
    stub: Stub, body: str, param: str | None
) -> None:
    stub.script = status(400, body)
    with pytest.raises(InvalidParameter, match="refused the request: top_k is wrong") as refused:
        await answered(stub)
    assert refused.value.param == param


@pytest.mark.parametrize("name", ['"code": "context_length_exceeded"', '"type": "exceed_context_size_error"'])
async def test_a_prompt_beyond_the_other_servers_context_is_named_as_that(stub: Stub, name: str) -> None:
    stub.script = status(400, f'{{"error": {{"message": "9000 tokens, 4096 fit", {name}}}}}')
    with pytest.raises(ContextLengthExceeded, match="9000 tokens, 4096 fit") as refused:
        await answered(stub)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


async def test_who_leaves_takes_the_request_away(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a"), HANG]
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, "vllm", model="mine", upstream_model="theirs")
        stream = backend.stream(REQUEST)
        assert (await anext(stream)).text == "a"
        await stream.aclose()
    for _ in range(100):
        if stub.left:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the connection stayed")


async def test_each_kind_is_sent_its_own_names(stub: Stub) -> None:
    stub.script = saying("a")
    sampling = SamplingParams(
        temperature=0.5, top_p=0.9, top_k=0, min_p=0.1, seed=7, repetition_penalty=1.2, logit_bias={5: -1.5}, logprobs=3
    )
    request = replace(REQUEST, sampling=sampling, stop=("x",), n=1)
    kinds: list[UpstreamKind] = ["vllm", "sglang", "llama-server", "openai", "oruel"]
    for kind in kinds:
        await answered(stub, request, kind)
    vllm, sglang, llama, openai, oruel = stub.bodies
    assert vllm == sglang
    assert (vllm["top_k"], vllm["repetition_penalty"], vllm["min_p"], vllm["max_tokens"]) == (-1, 1.2, 0.1, 20)
    assert (llama["top_k"], llama["repeat_penalty"], llama["min_p"]) == (0, 1.2, 0.1)
    assert "repetition_penalty" not in llama
    assert not {"top_k", "min_p", "repetition_penalty", "max_tokens"} & openai.keys()
    assert openai["max_completion_tokens"] == 20
    assert (oruel["top_k"], oruel["tier"]) == (0, "standard")
    for body in stub.bodies:
        assert (body["temperature"], body["top_p"], body["seed"], body["stop"]) == (0.5, 0.9, 7, ["x"])
        assert (body["logit_bias"], body["logprobs"], body["top_logprobs"]) == ({"5": -1.5}, True, 3)


async def test_edges_that_others_refuse_are_sent_as_what_they_mean(stub: Stub) -> None:
    stub.script = saying("a")
    for sampling in [SamplingParams(top_p=0.0), SamplingParams(top_k=1), SamplingParams(temperature=0.0)]:
        await answered(stub, replace(REQUEST, sampling=sampling))
        assert (stub.bodies[-1]["temperature"], stub.bodies[-1]["top_p"]) == (0.0, 1.0)


async def test_tools_schemas_and_conversations_are_sent_in_openais_shape(stub: Stub) -> None:
    stub.script = saying("a")
    tools = (Tool("f", "does f", {"type": "object", "properties": {}}, strict=True), Tool("g"))
    messages = (
        *REQUEST.messages,
        Message("assistant", "", tool_calls=(ToolCall("c1", "f", "{}"),)),
        Message("tool", "done", name="f", tool_call_id="c1"),
    )
    named = replace(REQUEST, messages=messages, tools=tools, tool_choice=ToolChoice("required", ("g",)))
    await answered(stub, named)
    await answered(stub, replace(named, tool_choice=ToolChoice("auto", ("f", "g")), parallel_tool_calls=False))
    await answered(
        stub, replace(REQUEST, response_format=ResponseFormat("json_schema", {"type": "object"}, strict=True))
    )
    first, second, third = stub.bodies
    assert first["tool_choice"] == {"type": "function", "function": {"name": "g"}}
    assert first["tools"][0]["function"]["strict"] is True
    assert first["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert first["messages"][2] == {"role": "tool", "content": "done", "tool_call_id": "c1"}
    assert (second["tool_choice"], second["parallel_tool_calls"]) == ("auto", False)
    assert third["response_format"]["json_schema"] == {"name": "answer", "schema": {"type": "object"}, "strict": True}
