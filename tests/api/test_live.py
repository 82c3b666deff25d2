"""Over real HTTP: the official client, clients that disconnect, and bodies that are too large."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest

from oruel.errors import EngineFailed, Overloaded
from oruel.types import ChatRequest, SamplingParams
from tests.api.conftest import chat, served
from tests.fakes import MODEL, FakeBackend, delta, doing, saying, until

pytestmark = pytest.mark.anyio

HELLO: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture(params=["/v1", "/v1/inference"])
def client(live: str, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=live + request.param, api_key="unused", max_retries=0) as client:
        yield client


def test_the_official_client_reads_a_whole_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="llama-4-maverick", messages=HELLO, temperature=0.7, logprobs=True, n=2, extra_body={"tier": "turbo"}
    )
    assert [choice.message.content for choice in answer.choices] == ["Hello world"] * 2
    assert answer.choices[0].logprobs is not None
    assert [token.token for token in answer.choices[0].logprobs.content or []] == ["Hello", " world"]
    assert (answer.model, answer.system_fingerprint, answer.object) == (MODEL, "fp-test", "chat.completion")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert (answer.usage.total_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (11, 3)
    assert answer.model_extra == {"tier": "turbo"}


def test_the_official_client_reads_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hello world"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


async def test_the_official_async_client_reads_a_stream(live: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{live}/v1", api_key="unused") as client:
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello world"


def test_the_official_client_lists_models(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {MODEL, "llama-4-maverick"}
    assert client.models.retrieve("llama-4-maverick").id == "llama-4-maverick"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("nobody")


def test_the_official_client_raises_its_typed_errors(client: openai.OpenAI, backend: FakeBackend) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=HELLO, temperature=3)
    assert (refused.value.param, refused.value.code) == ("temperature", "invalid_value")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=HELLO)
    backend.script = doing(Overloaded("Too many requests wait."))
    with pytest.raises(openai.InternalServerError) as overloaded:
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert overloaded.value.status_code == 503


def test_the_official_client_raises_an_error_event_in_midstream(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script = doing(delta("partial"), EngineFailed("The engine stopped."))
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="The engine stopped"):
        list(stream)


def test_the_official_client_skips_heartbeats(backend: FakeBackend) -> None:
    backend.script = doing(0.2, *saying("Hello")(request_with_one_choice()))
    with (
        served(backend, heartbeat_seconds=0.05) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hello"


def request_with_one_choice() -> ChatRequest:
    return ChatRequest("id", MODEL, (), SamplingParams())


async def test_a_client_that_leaves_an_unstreamed_request_cancels_it(live: str, backend: FakeBackend) -> None:
    backend.script = doing(delta("a"), asyncio.Event())
    await leave(live, backend, stream=False)


async def test_a_client_that_leaves_before_the_first_delta_cancels(live: str, backend: FakeBackend) -> None:
    backend.script = doing(asyncio.Event())
    await leave(live, backend, stream=True)


async def leave(live: str, backend: FakeBackend, *, stream: bool) -> None:
    async with httpx2.AsyncClient(base_url=live) as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", json=chat(stream=stream)))
        await until(lambda: backend.open == 1)
        asking.cancel()
        await until(lambda: backend.open == 0)
        assert backend.cut_short == 1
        backend.script = saying("still here")
        assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200


async def test_a_client_that_leaves_in_midstream_cancels_it(live: str, backend: FakeBackend) -> None:
    backend.script = doing(delta("a"), asyncio.Event())
    async with (
        httpx2.AsyncClient(base_url=live) as client,
        client.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as response,
    ):
        assert (await anext(response.aiter_lines())).startswith("data: ")
        assert backend.open == 1
    await until(lambda: backend.open == 0)
    assert backend.cut_short == 1


async def test_the_official_client_cancels_by_closing_its_stream(live: str, backend: FakeBackend) -> None:
    backend.script = doing(delta("a"), asyncio.Event())
    async with openai.AsyncOpenAI(base_url=f"{live}/v1", api_key="unused") as client:
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        await anext(aiter(stream))
        await stream.close()
        await until(lambda: backend.open == 0)


async def test_a_client_that_leaves_does_not_affect_another(live: str, backend: FakeBackend) -> None:
    backend.script = lambda request: doing(
        request.max_tokens or asyncio.Event(), *saying("Hello")(request_with_one_choice())
    )(request)
    async with httpx2.AsyncClient(base_url=live) as client:
        leaving = asyncio.create_task(client.post("/v1/chat/completions", json=chat()))
        staying = asyncio.create_task(client.post("/v1/chat/completions", json=chat(max_tokens=1)))
        await until(lambda: backend.open == 2)
        leaving.cancel()
        await until(lambda: backend.open == 1)
        assert (await staying).json()["choices"][0]["message"]["content"] == "Hello"
    assert backend.cut_short == 1


FIFTY_MB = 50 * 10**6


def test_a_body_of_50_mb_is_413_and_the_server_goes_on(client: openai.OpenAI, backend: FakeBackend) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * FIFTY_MB}])
    assert refused.value.status_code == 413
    assert backend.requests == []
    assert client.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content == "Hello world"


def test_50_mb_of_unannounced_length_are_413(live: str, backend: FakeBackend) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(50):
            yield b" " * 10**6

    with httpx2.Client(base_url=live) as client:
        headers = {"content-type": "application/json"}
        response = client.post("/v1/chat/completions", content=pieces(), headers=headers)
        assert response.status_code == 413
        assert client.post("/v1/chat/completions", json=chat()).status_code == 200
    assert len(backend.requests) == 1


def test_an_announced_body_is_refused_before_any_of_it_is_sent(live: str) -> None:
    address = urlsplit(live)
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {FIFTY_MB}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


def test_a_client_that_stops_within_its_body_affects_no_one(live: str, backend: FakeBackend) -> None:
    address = urlsplit(live)
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as connection:
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f'{head}Content-Length: 1000\r\n\r\n{{"model"'.encode())
    assert httpx2.post(f"{live}/v1/chat/completions", json=chat()).status_code == 200
    assert len(backend.requests) == 1


def test_concurrent_requests_each_get_their_own_answer(live: str, backend: FakeBackend) -> None:
    backend.script = lambda request: saying(request.messages[0].content)(request)

    async def all_of_them() -> list[str]:
        async with httpx2.AsyncClient(base_url=live) as client:
            bodies = [chat(messages=[{"role": "user", "content": f"number {i}"}]) for i in range(50)]
            answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for body in bodies))
        return [json.loads(answer.content)["choices"][0]["message"]["content"] for answer in answers]

    assert asyncio.run(all_of_them()) == [f"number {i}" for i in range(50)]
