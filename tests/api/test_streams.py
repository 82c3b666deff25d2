"""Streams when things go slowly or wrong: heartbeats, errors before and after the headers, headers themselves."""

import asyncio
import json
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

from oruel.api.deadline import Deadlines
from oruel.errors import ContextLengthExceeded, EngineFailed, Overloaded, UpstreamFailed
from oruel.types import Accepted, Usage
from tests.api.conftest import Client, Serve, chat, converse
from tests.fakes import FakeBackend, delta, doing

pytestmark = pytest.mark.anyio

URL = "/v1/chat/completions"
FINISH = delta(finish="stop", usage=Usage(1, 2))


async def events(client: Client, **fields: Any) -> list[str]:
    response = await client.post(URL, json=chat(stream=True, **fields))
    assert response.status_code == 200
    assert response.text.endswith("\n\n")
    return response.text.removesuffix("\n\n").split("\n\n")


async def test_a_stream_is_neither_cached_nor_held_back_by_proxies(client: Client) -> None:
    headers = (await client.post(URL, json=chat(stream=True))).headers
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")


FAILURES = [
    (ContextLengthExceeded("The prompt has 9 tokens, the context 8.", param="messages"), 400),
    (Overloaded("Too many requests wait.", retry_after=7), 503),
    (EngineFailed("The engine stopped."), 503),
    (ValueError("secret path"), 500),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("failure", "status"), FAILURES, ids=lambda value: str(value))
async def test_what_fails_before_the_first_delta_has_its_own_status(
    client: Client, backend: FakeBackend, failure: Exception, status: int, stream: bool
) -> None:
    backend.script = doing(failure)
    response = await client.post(URL, json=chat(stream=stream))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert backend.open == 0


async def test_an_overload_says_when_to_try_again(client: Client, backend: FakeBackend) -> None:
    backend.script = doing(Overloaded("Too many requests wait.", retry_after=7))
    response = await client.post(URL, json=chat())
    assert response.headers["retry-after"] == "7"
    assert response.json()["error"]["type"] == "overloaded_error"


async def test_an_unexpected_failure_shows_the_request_id_and_nothing_of_the_inside(
    client: Client, backend: FakeBackend
) -> None:
    backend.script = doing(ValueError("secret path"))
    with capture_logs() as logs:
        response = await client.post(URL, json=chat(), headers={"x-request-id": "mine-1"})
    assert response.status_code == 500
    assert "mine-1" in response.json()["error"]["message"]
    assert "secret" not in response.text
    failure = next(line for line in logs if line["event"] == "unexpected exception")
    assert failure["request_id"] == "mine-1"
    assert "ValueError: secret path" in failure["traceback"]


@pytest.mark.parametrize("failure", [EngineFailed("The engine stopped."), ValueError("secret path")], ids=str)
async def test_a_failure_in_midstream_is_an_error_event_and_then_done(
    client: Client, backend: FakeBackend, failure: Exception
) -> None:
    backend.script = doing(delta("partial"), failure)
    *before, error, done = await events(client)
    assert "partial" in before[-1]
    assert json.loads(error.removeprefix("data: "))["error"]["type"] in ("overloaded_error", "server_error")
    assert "secret" not in error
    assert done == "data: [DONE]"
    assert backend.open == 0


async def test_while_nothing_comes_the_headers_go_out_with_comments_as_heartbeat(
    serve: Serve, backend: FakeBackend
) -> None:
    gate = asyncio.Event()
    backend.script = doing(gate, delta("late"), FINISH)
    first, *rest = await converse(serve(heartbeat_seconds=0.02), gate, b": waiting")
    assert first == ": waiting"
    data = [json.loads(event.removeprefix("data: ")) for event in rest[:-1] if not event.startswith(":")]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in data] == ["", "late", None]


async def test_a_gap_in_midstream_is_filled_with_heartbeats(serve: Serve, backend: FakeBackend) -> None:
    gate = asyncio.Event()
    backend.script = doing(delta("a"), gate, delta("b"), FINISH)
    got = await converse(serve(heartbeat_seconds=0.02), gate, b": waiting")
    assert ": waiting" in got[2:-3]


async def test_a_failure_after_the_heartbeat_is_an_error_event(serve: Serve, backend: FakeBackend) -> None:
    gate = asyncio.Event()
    backend.script = doing(gate, ContextLengthExceeded("Too long.", param="messages"))
    *_, error, done = await converse(serve(heartbeat_seconds=0.02), gate, b": waiting")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "context_length_exceeded"
    assert done == "data: [DONE]"


async def test_a_stream_without_waiting_has_no_heartbeat(client: Client) -> None:
    assert not any(event.startswith(":") for event in await events(client))


async def test_a_delta_is_sent_when_it_comes_and_not_when_the_next_one_does(
    client: Client, backend: FakeBackend
) -> None:
    gate = asyncio.Event()
    backend.script = doing(delta("first"), gate, delta("second"), FINISH)
    assert any("second" in event for event in await converse(client, gate, b"first"))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_names_the_deployment_that_failed_last(
    client: Client, backend: FakeBackend, stream: bool
) -> None:
    backend.script = doing(Accepted(deployment="first"), Accepted(deployment="second"), UpstreamFailed("It broke off."))
    response = await client.post(URL, json=chat(stream=stream))
    assert (response.status_code, response.headers["x-oruel-deployment"]) == (502, "second")


async def test_what_waits_at_another_server_is_not_in_a_queue_of_ours(serve: Serve, backend: FakeBackend) -> None:
    backend.script = doing(Accepted(deployment="far"), 0.3, delta("late"), FINISH)
    client = serve(deadlines=Deadlines(queue=0.1, first_token=5, whole=5))
    assert (await client.post(URL, json=chat())).status_code == 200


# Every character that Python's str.splitlines ends a line at, by its own word.
LINE_ENDS = [chr(code) for code in range(sys.maxunicode + 1) if len(f"a{chr(code)}b".splitlines()) > 1]


@pytest.mark.parametrize("fails", [False, True], ids=["text", "error"])
async def test_a_client_that_splits_lines_as_python_does_reads_every_event_whole(
    client: Client, backend: FakeBackend, fails: bool
) -> None:
    assert {"\x85", "\u2028", "\u2029"} < set(LINE_ENDS)
    said = "".join(f"{end}é–“{number}”" for number, end in enumerate(LINE_ENDS))
    backend.script = doing(delta(said), EngineFailed(said) if fails else FINISH)
    async with client.stream("POST", URL, json=chat(stream=True)) as response:
        lines = [line async for line in response.aiter_lines() if line]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert lines[-1] == "data: [DONE]"
    assert chunks[1]["choices"][0]["delta"]["content"] == said
    assert not fails or chunks[-1]["error"]["message"] == said
