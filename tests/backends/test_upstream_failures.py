"""An upstream server as a backend: what it fails at or refuses becomes a clear error, unless the answer is complete."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from oruel.errors import (
    ContextLengthExceeded,
    InvalidParameter,
    OruelError,
    Overloaded,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnavailable,
)
from tests.backends.upstream import answer, text
from tests.stub_server import DONE, HANG, HEAD, Stub, chunk, event, status, stub_server, usage

pytestmark = pytest.mark.anyio


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
