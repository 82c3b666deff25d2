"""An upstream server as a backend: its stream is forwarded as it arrives, and repaired if possible."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from oruel.backends.upstream import UpstreamBackend
from oruel.errors import UpstreamUnavailable
from oruel.http.exchange import upstream_client
from oruel.types import Accepted, ChatRequest, Delta, Prepared, SamplingParams, Tool, ToolChoice, Usage
from tests.backends.upstream import REQUEST, answer, text
from tests.fakes import deltas_of
from tests.stub_server import DONE, HANG, HEAD, Stub, chunk, event, saying

pytestmark = pytest.mark.anyio


async def test_a_stream_is_forwarded_with_the_catalog_name_of_the_model(stub: Stub) -> None:
    stub.script = saying("Hel", "lo €", "!")
    deltas = await answer(stub, key="secret")
    assert text(deltas) == "Hello €!"
    assert {delta.model for delta in deltas} == {"mine"}
    assert [delta.finish for delta in deltas if delta.finish] == ["stop"]
    assert deltas[-1].usage == Usage(3, 3)
    assert stub.bodies[0]["model"] == "theirs"
    assert stub.bodies[0]["stream"] is True


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_chunks_may_be_split_anywhere(stub: Stub, size: int) -> None:
    data = b"".join(part for part in saying("a", "é€", "\U0001f600")[1:] if isinstance(part, bytes)).replace(
        b"\n\n", b"\r\n\r\n"
    )
    stub.script = [HEAD, *(data[start : start + size] for start in range(0, len(data), size))]
    assert text(await answer(stub)) == "aé€\U0001f600"


REPAIRABLE: list[tuple[str, list[Any], ChatRequest, str]] = [
    ("a stop string in the text", saying("one", " ST", "OP two"), replace(REQUEST, stop=("STOP",)), "one "),
    ("the start of a stop string at the end", saying("one S", "T"), replace(REQUEST, stop=("STOP",)), "one ST"),
    ("comments and other fields", [HEAD, b": hello\n\nid: 1\nevent: x\n", *saying("a")[1:]], REQUEST, "a"),
    ("no [DONE]", saying("a", "b")[:-1], REQUEST, "ab"),
    ("unknown fields", [HEAD, event({"x": [1], "choices": [{"delta": {"content": "a", "y": 1}}]}), *saying()[1:]],
     REQUEST, "a"),
    ("an unknown finish", [HEAD, chunk("a"), chunk(finish="eos_token"), DONE], REQUEST, "a"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "script", "request_", "expected"), REPAIRABLE, ids=[row[0] for row in REPAIRABLE])
async def test_repairable_streams_are_repaired(
    stub: Stub, name: str, script: list[Any], request_: ChatRequest, expected: str
) -> None:
    stub.script = script
    deltas = await answer(stub, request_)
    assert text(deltas) == expected
    assert [delta.finish for delta in deltas if delta.finish] == ["stop"]
    assert deltas[-1].usage is not None


async def test_reading_ends_at_a_stop_string_even_if_the_server_continues(stub: Stub) -> None:
    stub.script = [HEAD, chunk("one STOP"), *([chunk("x" * 1000)] * 2000), HANG]
    assert text(await answer(stub, replace(REQUEST, stop=("STOP",)))) == "one "


async def test_fragments_of_calls_are_assembled(stub: Stub) -> None:
    fragments = [
        [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"a"'}}],
        [{"function": {"arguments": ": 1}"}}],
        [{"id": "c2", "function": {"name": "g", "arguments": {"b": 2}}}],
    ]
    stub.script = [HEAD, *(chunk(tool_calls=one) for one in fragments), chunk(finish="tool_calls"), DONE]
    pieces = [
        piece
        for delta in await answer(stub, replace(REQUEST, tools=(Tool("f"), Tool("g"))))
        for piece in delta.tool_calls
    ]
    begun = [(piece.index, piece.id, piece.name) for piece in pieces if piece.name]
    assert begun == [(0, "c1", "f"), (1, "c2", "g")]
    assert "".join(piece.arguments for piece in pieces if piece.index == 0) == '{"a": 1}'
    assert json.loads("".join(piece.arguments for piece in pieces if piece.index == 1)) == {"b": 2}


@pytest.mark.parametrize(
    ("fragments", "calls"),
    [
        ([{"index": 0, "id": "c1"}, {"index": 0, "function": {"name": "f"}},
          {"index": 0, "function": {"arguments": "{}"}}], [("c1", "f", "{}")]),
        ([{"index": 0, "id": "c1", "function": {"name": "get_"}}, {"index": 0, "function": {"name": "weather"}}],
         [("c1", "get_weather", "")]),
        ([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}},
          {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ": 1}"}}], [("c1", "f", '{"a": 1}')]),
        ([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}},
          {"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{}"}}],
         [("c1", "f", "{}"), ("c2", "g", "{}")]),
        ([{"index": 1, "id": "c1", "function": {"name": "f", "arguments": "{}"}}], [("c1", "f", "{}")]),
        ([{"id": "c1", "function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "g", "arguments": "[]"}}],
         [("c1", "f", "{}"), (None, "g", "[]")]),
    ],
    ids=["the name after the id", "a name in two", "a name repeated", "one index for two", "no index 0", "no index"],
)  # fmt: skip
async def test_calls_are_assembled_from_any_fragments_and_indices(
    stub: Stub, fragments: list[dict[str, Any]], calls: list[tuple[str | None, str, str]]
) -> None:
    request = replace(REQUEST, tools=tuple(map(Tool, ("f", "g", "get_weather"))), tool_choice=ToolChoice("auto"))
    stub.script = [HEAD, *(chunk(tool_calls=[one]) for one in fragments), chunk(finish="stop"), DONE]
    deltas = await answer(stub, request)
    pieces = [piece for delta in deltas for piece in delta.tool_calls]
    begun = [piece for piece in pieces if piece.name]
    assert [piece.index for piece in begun] == list(range(len(calls)))
    for piece, (id_, name, arguments) in zip(begun, calls, strict=True):
        assert piece.name == name
        assert piece.id == id_ if id_ else piece.id
        assert "".join(one.arguments for one in pieces if one.index == piece.index) == arguments
    assert deltas[-1].finish == "tool_calls", "even if the server reports stop"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("eos_token", "stop")],
)
async def test_the_finish_reason_is_forwarded(stub: Stub, reason: str, finish: str) -> None:
    stub.script = [HEAD, chunk("a"), chunk(finish=reason), DONE]
    assert (await answer(stub))[-1].finish == finish


async def test_the_message_of_a_refusal_is_forwarded(stub: Stub) -> None:
    stub.script = [HEAD, chunk(refusal="I can't do that."), chunk(finish="stop"), DONE]
    assert text(await answer(stub)) == "I can't do that."


async def test_logprobs_match_the_content_and_the_requested_number(stub: Stub) -> None:
    def entry(token: str) -> dict[str, Any]:
        return {"token": token, "logprob": -0.5, "top_logprobs": [{"token": token, "logprob": -0.5}]}

    def with_entries(content: str, *tokens: str, finish: str | None = None) -> bytes:
        logprobs = {"content": [entry(token) for token in tokens]}
        return event({"choices": [{"delta": {"content": content}, "logprobs": logprobs, "finish_reason": finish}]})

    sampling = SamplingParams(logprobs=0)
    stub.script = [HEAD, with_entries("ab", "a", "b"), with_entries("c", "c", "<|im_end|>", finish="stop"), DONE]
    tokens = [one for delta in await answer(stub, replace(REQUEST, sampling=sampling)) for one in delta.logprobs]
    assert [(token.bytes, token.alternatives) for token in tokens] == [(b"a", ()), (b"b", ()), (b"c", ())]


async def test_the_most_probable_alternatives_come_first_and_a_less_probable_chosen_token_takes_no_place(
    stub: Stub,
) -> None:
    def entry(token: str, logprob: float, *others: dict[str, Any]) -> dict[str, Any]:
        return {"token": token, "logprob": logprob, "top_logprobs": others}

    # As vLLM sends them: the chosen token, then the most probable ones, cut to the number that it was asked for.
    listed = [entry("c", -3.0), entry("a", -0.2), entry("b", -2.0)]
    choice = {"delta": {"content": "c"}, "logprobs": {"content": [entry("c", -3.0, *listed)]}, "finish_reason": "stop"}
    stub.script = [HEAD, event({"choices": [choice]}), DONE]
    request = replace(REQUEST, sampling=SamplingParams(logprobs=2))
    (token,) = [one for delta in await answer(stub, request) for one in delta.logprobs]
    assert [(one.bytes, one.logprob) for one in token.alternatives] == [(b"a", -0.2), (b"b", -2.0)]


async def test_differences_of_an_upstream_oruel_are_forwarded(stub: Stub) -> None:
    head = HEAD.replace(b"\r\n\r\n", b"\r\nx-oruel-differs: response_format: x; seed; top_p\r\n\r\n")
    stub.script = [head, *saying("a")[1:]]
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, "oruel", model="mine", upstream_model="theirs")
        differs = [item.differs async for item in backend.stream(REQUEST) if isinstance(item, Accepted)]
    assert differs == [(), ("seed", "top_p")]


async def test_a_request_carries_its_number_of_hops(stub: Stub) -> None:
    stub.script = saying("a")
    await answer(stub, replace(REQUEST, hops=3))
    assert b"x-oruel-hops: 4\r\n" in stub.heads[0].lower()


@pytest.mark.parametrize(
    ("answers", "takes_one_more", "connections"), [(None, False, [5]), (2, False, [2, 2, 1]), (2, True, [2, 2, 1])]
)
async def test_a_connection_is_reused_until_the_server_closes_it_even_if_that_takes_long(
    answers: int | None, takes_one_more: bool, connections: list[int]
) -> None:
    body = b"".join(part for part in saying("a")[1:] if isinstance(part, bytes))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        while served[-1] != answers and (request := await reader.read(2**16)):
            served[-1] += request.startswith(b"POST")
            writer.write(head.encode() + body)
        if takes_one_more and served[-1] == answers:
            await reader.read(2**16)
            await asyncio.sleep(0.2)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, upstream_client() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        backend = UpstreamBackend(client, url, "vllm", model="mine", upstream_model="theirs")
        for _ in range(5):
            assert text(await deltas_of(backend.stream(REQUEST))) == "a"
        assert served == connections


async def test_a_request_on_a_new_connection_is_sent_once_even_if_the_server_closes_it(stub: Stub) -> None:
    stub.script = [None]
    with pytest.raises(UpstreamUnavailable):
        await answer(stub)
    assert len(stub.heads) == 1


async def test_closing_the_stream_aborts_the_upstream_request(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a"), HANG]
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, "vllm", model="mine", upstream_model="theirs")
        stream = backend.stream(REQUEST)
        assert isinstance(await anext(stream), Prepared)
        assert isinstance(await anext(stream), Accepted)
        delta = await anext(stream)
        assert isinstance(delta, Delta)
        assert delta.text == "a"
        await stream.aclose()
    for _ in range(100):
        if stub.left:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the connection is still open")


async def test_closing_the_stream_after_the_preparation_sends_nothing(stub: Stub) -> None:
    stub.script = saying("a")
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, "vllm", model="mine", upstream_model="theirs")
        stream = backend.stream(REQUEST)
        prepared = await anext(stream)
        await asyncio.sleep(0.02)
        await stream.aclose()
    assert isinstance(prepared, Prepared)
    assert (prepared.prompt_tokens > len("Hello"), prepared.max_tokens) == (True, 20)
    assert stub.heads == []
