"""An upstream server as a backend: its stream is forwarded, repaired if possible, or fails with a clear error."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from oruel.backends.upstream import UpstreamBackend
from oruel.errors import (
    ContextLengthExceeded,
    InvalidParameter,
    OruelError,
    Overloaded,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnavailable,
)
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import (
    Accepted,
    ChatRequest,
    Delta,
    Message,
    Prepared,
    Progress,
    SamplingParams,
    Tool,
    ToolChoice,
    UpstreamKind,
    Usage,
)
from tests.fakes import deltas_of
from tests.stub_server import DONE, HANG, HEAD, Stub, chunk, event, saying, status, stub_server, usage
from tests.virtual_time import VIRTUAL_TIME

pytestmark = pytest.mark.anyio

REQUEST = ChatRequest("id", "mine", (Message("user", "Hello"),), SamplingParams(reproducible=False), max_tokens=20)
QUICK = UpstreamTimeouts(connect=1.0, first_token=0.3, idle=0.3)


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with stub_server() as running:
        yield running


async def answer(
    stub: Stub, request: ChatRequest = REQUEST, kind: UpstreamKind = "vllm", key: str | None = None
) -> list[Delta]:
    async with upstream_client() as client:
        backend = UpstreamBackend(
            client, stub.base_url, kind, model="mine", upstream_model="theirs", key=key, timeouts=QUICK
        )
        return await deltas_of(backend.stream(request))


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


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


async def test_missing_usage_is_counted_and_false_usage_is_bounded(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a"), chunk("b"), chunk(finish="stop"), DONE]
    assert (await answer(stub))[-1].usage == Usage(1, 2)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(5, 10**30), DONE]
    assert (await answer(stub, replace(REQUEST, max_tokens=None)))[-1].usage == Usage(5, 2**31)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(-5, 7, prompt_tokens_details={"cached_tokens": 99}), DONE]
    assert (await answer(stub))[-1].usage == Usage(0, 7, 0)


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


CHUNKED = HEAD.replace(b"connection: close", b"transfer-encoding: chunked")
FAILURES: list[tuple[str, list[Any], type[UpstreamFailed], str]] = [
    ("hangs before an answer", [HANG], UpstreamTimedOut, "sent nothing for 0.3 seconds"),
    ("hangs before the first event", [HEAD, HANG], UpstreamTimedOut, "sent nothing for 0.3 seconds"),
    ("sends only a role", [HEAD, *[chunk("", role="assistant"), 0.1] * 9], UpstreamTimedOut, "nothing for 0.3"),
    ("sends only comments", [HEAD, *[b": still here\n\n", 0.1] * 9], UpstreamTimedOut, "sent nothing for 0.3 seconds"),
    ("sends an event slowly", [HEAD, *[b"x", 0.1] * 9], UpstreamTimedOut, "sent nothing for 0.3 seconds"),
    ("hangs in the middle", [HEAD, chunk("a"), HANG], UpstreamTimedOut, "sent nothing for 0.3 seconds"),
    ("resets before an answer", [None], UpstreamUnavailable, "closed the connection before it answered"),
    ("resets in the middle", [CHUNKED, b"fff\r\n" + chunk("a"), 0.01, None], UpstreamFailed, "closed the connection"),
    ("ends in the middle", [HEAD, chunk("a")], UpstreamFailed, "ended its stream before the answer"),
    ("sends garbage", [HEAD, b"data: {not json\n\n"], UpstreamFailed, "isn't a chunk"),
    ("sends invalid UTF-8", [HEAD, b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'],
     UpstreamFailed, "isn't a chunk"),
    ("sends another shape", [HEAD, event({"choices": "many"})], UpstreamFailed, "isn't a chunk"),
    ("sends a list", [HEAD, event([1, 2])], UpstreamFailed, "isn't a chunk"),
    ("sends a choice that was not requested", [HEAD, chunk("a", index=3)], UpstreamFailed, "choice 3 of 1"),
    ("calls an undeclared function", [HEAD, chunk(tool_calls=[{"id": "c", "function": {"name": "rm"}}], finish="stop")],
     UpstreamFailed, "function that tools doesn't declare"),
    ("aborts", [HEAD, chunk("a"), chunk(finish="abort"), DONE], UpstreamFailed, "aborted the answer"),
    ("sends an error in its stream", [HEAD, event({"error": {"message": "out of memory"}})], UpstreamFailed, "error"),
    ("sends an HTML page", status(200, "<html>", "text/html"), UpstreamFailed, "without a stream"),
    ("fails", status(500, '{"error": {"message": "boom"}}'), UpstreamFailed, "status 500"),
    ("has no server behind its gateway", status(502, "bad gateway", "text/plain"), UpstreamUnavailable, "status 502"),
    ("refuses the key", status(401, '{"detail": "no"}'), UpstreamFailed, "status 401"),
    ("redirects", status(307, ""), UpstreamFailed, "status 307"),
    ("nests 100,000 deep", [HEAD, b'data: {"error": ' + b"[" * 100_000 + b"\n\n"], UpstreamFailed, "isn't a chunk"),
    ("nests its error deeply", [HEAD, b'data: {"error": ' + b"[" * 900 + b"]" * 900 + b"}\n\n"],
     UpstreamFailed, "server behind this model"),
    ("sends an endless event", [HEAD, *([b"x" * 2**18] * 8), HANG], UpstreamFailed, "an event of more than"),
    ("sends endless text", [HEAD, *([chunk("x" * 2**19)] * 17), HANG], UpstreamFailed, "more than 8388608 char"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "script", "kind", "words"), FAILURES, ids=[row[0] for row in FAILURES])
async def test_an_unrepairable_stream_raises_a_clear_error(
    stub: Stub, name: str, script: list[Any], kind: type[UpstreamFailed], words: str
) -> None:
    stub.script = script
    with pytest.raises(UpstreamFailed, match=words) as failed:
        await asyncio.wait_for(answer(stub), 5)
    assert type(failed.value) is kind
    assert failed.value.status == (504 if kind is UpstreamTimedOut else 502)


@pytest.mark.parametrize("code", [429, 503])
async def test_the_retry_after_of_a_busy_server_is_forwarded(stub: Stub, code: int) -> None:
    head = f"HTTP/1.1 {code} X\r\nretry-after: 17\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    stub.script = [head.encode()]
    with pytest.raises(Overloaded) as busy:
        await answer(stub)
    assert busy.value.retry_after == 17


async def test_a_huge_retry_after_is_limited_to_an_hour(stub: Stub) -> None:
    stub.script = [b"HTTP/1.1 503 X\r\nretry-after: " + b"9" * 6000 + b"\r\ncontent-length: 0\r\n\r\n"]
    with pytest.raises(Overloaded) as busy:
        await answer(stub)
    assert busy.value.retry_after == 3600


async def test_messages_of_a_server_lose_control_characters_and_surrogates(stub: Stub) -> None:
    stub.script = status(400, r'{"error": {"message": "no\ud800\u001b[31m", "param": "to\ud800p_k"}}')
    with pytest.raises(InvalidParameter, match=r"refused the request: no\?\?\[31m$") as refused:
        await answer(stub)
    assert refused.value.param == "to?p_k"


async def test_errors_hide_addresses_and_internal_details_of_a_server(stub: Stub) -> None:
    for code in (400, 401, 500):
        stub.script = status(code, '{"error": {"message": "out of memory of http://10.0.0.9 at /srv/model"}}')
        with pytest.raises(OruelError) as failed:
            await answer(stub)
        assert ("10.0.0.9" in failed.value.message) == (code == 400), "only messages about the request are forwarded"
    async with stub_server() as gone:
        pass
    with pytest.raises(UpstreamFailed) as failed:
        await answer(gone)
    assert "127.0.0.1" not in failed.value.message


@pytest.mark.parametrize(
    "end",
    [
        [chunk("b", finish="stop"), HANG],
        [chunk("b", finish="stop"), *[chunk("x"), 0.02] * 500],
        [chunk("b", finish="stop"), None],
        [chunk("b", finish="stop"), usage(3, 2), HANG],
    ],
    ids=["hangs", "continues", "resets", "sends no [DONE]"],
)
async def test_errors_after_a_complete_answer_are_ignored(stub: Stub, end: list[Any]) -> None:
    stub.script = [HEAD, chunk("a"), *end]
    deltas = await asyncio.wait_for(answer(stub), 4)
    assert text(deltas) == "ab"
    assert deltas[-1].finish == "stop"


@pytest.mark.parametrize(
    "end",
    [b"zz\r\n", b"-1\r\n", b"ffffffffffffffffffff\r\n", b"3\r\nabcdef", b"0\r\na: " + b"x" * 100_000,
     b"0\r\n" + b"a: b\r\n" * 1000, b"0\r\n\xff\x00\r\n\r\n"],
    ids=["no size", "a size below 0", "a size beyond 64 bits", "no line ending", "a long trailer", "many trailers",
         "an invalid trailer"],
)  # fmt: skip
async def test_invalid_http_after_a_complete_answer_is_ignored(stub: Stub, end: bytes) -> None:
    whole = chunk("a") + chunk(finish="stop")
    stub.script = [CHUNKED, b"%x\r\n" % len(whole) + whole + b"\r\n", 0.05, end]
    assert text(await answer(stub)) == "a"
    stub.script = [CHUNKED, b"%x\r\n" % len(whole) + whole + b"\r\n" + end]
    with suppress(UpstreamFailed):
        assert text(await answer(stub)) == "a"


async def test_a_slow_answer_has_no_total_timeout(stub: Stub) -> None:
    drip = [part for word in ["one", "two", "three", "four"] for part in (chunk(word), 0.15)]
    stub.script = [HEAD, *drip, chunk(finish="stop"), usage(3, 4), DONE]
    assert text(await answer(stub)) == "onetwothreefour", "the timeout applies to each event, not to their total"


async def test_the_last_text_does_not_wait_for_the_usage(stub: Stub) -> None:
    stub.script = [HEAD, chunk("all", finish="stop"), 0.8, usage(3, 1), DONE]
    begun = asyncio.get_running_loop().time()
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, "vllm", model="mine", upstream_model="theirs")
        async for item in backend.stream(REQUEST):
            if isinstance(item, Delta) and item.text:
                assert asyncio.get_running_loop().time() - begun < 0.5
    assert isinstance(item, Delta)
    assert item.usage == Usage(3, 1)


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


async def test_invalid_usage_counts_as_zero_and_is_limited_to_max_tokens(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a", finish="stop"), event({"choices": [], "usage": {"prompt_tokens": None}}), DONE]
    assert (await answer(stub))[-1].usage == Usage(0, 0)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(4.0, 10**12), DONE]
    assert (await answer(stub))[-1].usage == Usage(4, 20)


def timings(found: int, computed: int, generated: int) -> dict[str, Any]:
    return {"timings": {"cache_n": found, "prompt_n": computed, "predicted_n": generated}}


def counted(content: str, index: int = 0, **more: Any) -> bytes:
    """A chunk with the usage so far, which vLLM and llama.cpp's server report on request."""
    return event({"choices": [{"index": index, "delta": {"content": content}}], **more})


def used(prompt: int, completion: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


@pytest.mark.parametrize("together", [True, False])
async def test_usage_ends_at_a_stop_string(stub: Stub, together: bool) -> None:
    request = replace(REQUEST, stop=("STOP",), max_tokens=500)
    running = [counted("a b", **used(7, 2)), counted(" ST", **used(7, 3)), counted("OP", **used(7, 5))]
    rest = [counted(" more", **used(7, 9)), usage(7, 30), DONE]
    parts = [*running, *rest]
    stub.script = [HEAD, b"".join(parts)] if together else [HEAD, *[part for one in parts for part in (one, 0.01)]]
    deltas = await answer(stub, request)
    assert (text(deltas), deltas[-1].usage) == ("a b ", Usage(7, 5))
    stub.script = [HEAD, counted("a", **timings(4, 3, 1)), counted("STOP", **timings(4, 3, 3)), counted("x")]
    assert (await answer(stub, request))[-1].usage == Usage(7, 3, 4)


async def test_usage_is_summed_over_choices_in_any_form_of_report(stub: Stub) -> None:
    request = replace(REQUEST, n=2)
    ends = [chunk(finish="stop", index=index) for index in (0, 1)]
    said = [counted("a", 0), counted("b", 1), *ends]
    stub.script = [HEAD, *said, usage(7, 9, prompt_tokens_details={"cached_tokens": 5}), DONE]
    assert (await answer(stub, request))[-1].usage == Usage(7, 9, 5)
    once_per_choice = [usage(7, 4, prompt_tokens_details={"cached_tokens": cached}) for cached in (0, 6)]
    stub.script = [HEAD, *said, *once_per_choice, DONE]
    assert (await answer(stub, request))[-1].usage == Usage(7, 8, 0)
    stub.script = [HEAD, counted("a", 0, **used(7, 3)), counted("b", 1, **used(7, 2)), *ends, DONE]
    assert (await answer(stub, request))[-1].usage == Usage(7, 5)


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


@pytest.mark.parametrize(("answers", "connections"), [(None, [5]), (2, [2, 2, 1])])
async def test_a_connection_is_reused_until_the_server_closes_it(answers: int | None, connections: list[int]) -> None:
    body = b"".join(part for part in saying("a")[1:] if isinstance(part, bytes))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        while served[-1] != answers and (request := await reader.read(2**16)):
            served[-1] += request.startswith(b"POST")
            writer.write(head.encode() + body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, upstream_client() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        backend = UpstreamBackend(client, url, "vllm", model="mine", upstream_model="theirs")
        for _ in range(5):
            assert text(await deltas_of(backend.stream(REQUEST))) == "a"
        assert served == connections


async def test_an_unreachable_server_raises_a_clear_error() -> None:
    async with stub_server() as gone:
        pass
    with pytest.raises(UpstreamUnavailable, match="can't be reached"):
        await answer(gone)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"error": {"message": "top_k is wrong", "param": "top_k"}}', "top_k"),
        ('{"object": "error", "message": "top_k is wrong", "param": null}', None),
        ('{"message": "top_k is wrong", "code": [400]}', None),
        ("top_k is wrong", None),
    ],
)
async def test_a_refusal_by_the_other_server_is_a_request_error(stub: Stub, body: str, param: str | None) -> None:
    stub.script = status(400, body)
    with pytest.raises(InvalidParameter, match="refused the request: top_k is wrong") as refused:
        await answer(stub)
    assert refused.value.param == param


@pytest.mark.parametrize("name", ['"code": "context_length_exceeded"', '"type": "exceed_context_size_error"'])
async def test_exceeding_the_other_servers_context_is_reported_as_such(stub: Stub, name: str) -> None:
    stub.script = status(400, f'{{"error": {{"message": "9000 tokens, 4096 fit", {name}}}}}')
    with pytest.raises(ContextLengthExceeded, match="9000 tokens, 4096 fit") as refused:
        await answer(stub)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


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


REPORTS: list[tuple[str, UpstreamKind, list[Any], Progress]] = [
    ("nothing yet", "openai", [], Progress(Usage(0, 0), estimated=True)),
    ("no usage", "openai", [chunk("a"), chunk(""), chunk("b", index=1)], Progress(Usage(1, 2), estimated=True)),
    ("usage with each chunk", "vllm",
     [event({"choices": [{"index": index, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 7,
      "completion_tokens": tokens}}) for index, tokens in ((0, 2), (1, 3), (0, 6))], Progress(Usage(7, 9))),
    ("usage of one choice", "vllm",
     [event({"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 7,
      "completion_tokens": 5}}), chunk("b", index=1)], Progress(Usage(7, 6), estimated=True)),
    ("timings", "llama-server",
     [event({"choices": [{"index": 0, "delta": {"content": "x"}}], "timings": {"cache_n": 4, "prompt_n": 3,
      "predicted_n": 2}})], Progress(Usage(7, 2, 4))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "said", "expected"), REPORTS, ids=[row[0] for row in REPORTS])
async def test_progress_is_what_the_server_reported_or_an_estimate(
    stub: Stub, name: str, kind: UpstreamKind, said: list[Any], expected: Progress
) -> None:
    stub.script = [HEAD, *said, HANG]
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, kind, model="mine", upstream_model="theirs", timeouts=QUICK)
        progress = None
        with suppress(UpstreamTimedOut):
            async for item in backend.stream(replace(REQUEST, n=2)):
                if isinstance(item, Accepted):
                    progress = item.progress
    assert progress
    assert progress() == expected
