"""The preparation of requests: where it runs, that it ends with its client, and how much memory bodies take."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from oruel.api.held_bodies import FREE_BYTES, BoundHeldBodies
from oruel.api.routes import create_api
from oruel.config import engine_environment
from oruel.errors import Overloaded
from oruel.jobs.base import A, Kind, Q, Work
from oruel.jobs.client import JobClient
from tests.api.conftest import CHAT, Client, Serve, chat, schema, services_for, tool
from tests.fakes import MODEL, FakeBackend, FakeTokenizer, InProcessJobs, until
from tests.jobs import works
from tests.jobs.test_jobs import is_gone, process_in

pytestmark = pytest.mark.anyio

# Its length is too large to be examined in this process.
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 1000}}}


class Instead:
    """Runs something else in place of each job."""

    def __init__(self, client: JobClient, work: Work[str, None], question: str) -> None:
        self._client = client
        self._work = work
        self._question = question

    async def run(self, work: Work[Q, A], question: Q, *, kind: Kind, account: str = "", param: str | None = None) -> A:
        await self._client.run(self._work, self._question, kind=kind, account=account, param=param)
        raise AssertionError


@pytest.fixture
async def job_client() -> AsyncIterator[JobClient]:
    client = JobClient({}, engine_environment())
    try:
        await client.open([])
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(tools=[tool("f", PARAMETERS)])),
        (CHAT, chat(tools=[tool("f", PARAMETERS)], stream=True)),
        (CHAT, chat(messages=[{"role": "user", "content": "hi"}] * 1000)),
        ("/tokenize", {"text": "hi"}),
    ],
    ids=["tools", "tools, streamed", "a large body", "tokenize"],
)
async def test_a_client_that_leaves_ends_its_job(
    job_client: JobClient, tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    jobs = Instead(job_client, works.wait_for_ever, str(tmp_path / "number"))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_api(services_for(FakeBackend(), jobs=jobs)), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        process = await process_in(tmp_path / "number")
        writer.close()
        await until(lambda: is_gone(process))
    finally:
        server.should_exit = True
        await serving
        listener.close()


async def test_a_schema_is_examined_once_and_remembered(serve: Serve) -> None:
    jobs = InProcessJobs()
    client = serve(jobs=jobs)
    for _ in range(3):
        assert (await client.post(CHAT, json=chat(tools=[tool("f", PARAMETERS)]))).status_code == 200
    assert jobs.kinds == ["schema"]
    # A document has to be completed within its budget, and calls don't: it is another question.
    await client.post(CHAT, json=chat(**schema(PARAMETERS)))
    for _ in range(2):
        refused = await client.post(CHAT, json=chat(tools=[tool("f", {"$ref": "#/nowhere", "maxLength": 1000})]))
        assert refused.json()["error"]["param"] == "tools[0].function.parameters"
    assert jobs.kinds == ["schema"] * 3


@pytest.mark.parametrize(
    ("messages", "kinds"),
    [
        ([{"role": "user", "content": "hi"}] * 10, []),
        ([{"role": "user", "content": "[1, 2], {3, 4}, " * 20_000 + '"\\\\"'}], []),
        ([{"role": "user", "content": "hi"}] * 2000, ["body"]),
        ([{"role": "user", "content": "x" * 2**20}], ["body"]),
    ],
    ids=["few values", "one long text that looks like many values", "many values", "more than a megabyte"],
)
async def test_a_body_with_many_values_is_parsed_in_a_job_to_the_same_request(
    serve: Serve, backend: FakeBackend, messages: list[Any], kinds: list[str]
) -> None:
    jobs = InProcessJobs()
    fields = {"seed": 7, "logit_bias": {"5": 1.5}, "stop": ["a", "b"], "tools": [tool("f", {"default": 10**30})]}
    answer = await serve(jobs=jobs).post(CHAT, json=chat(messages=messages, user="ada", **fields))
    assert answer.status_code == 200, answer.text
    request = backend.requests[-1]
    assert [(m.role, m.content) for m in request.messages] == [(m["role"], m["content"]) for m in messages]
    assert (request.sampling.seed, request.sampling.logit_bias, request.stop) == (7, {5: 1.5}, ("a", "b"))
    assert request.tools[0].parameters == {"default": 10**30}
    assert [kind for kind in jobs.kinds if kind == "body"] == kinds


async def test_an_error_from_a_body_job_names_the_field(client: Client) -> None:
    messages = [{"role": "user", "content": "hi"}] * 2000
    error = (await client.post(CHAT, json=chat(messages=[*messages, {"role": "user"}]))).json()["error"]
    assert (error["param"], error["code"]) == ("messages[2000].content", "invalid_value")


class CountedTokenizer(FakeTokenizer):
    longest_piece = 4
    asked = 0

    def encode_text(self, text: str) -> list[int]:
        self.asked += 1
        return super().encode_text(text)


@pytest.mark.parametrize("messages", [False, True])
async def test_a_text_of_too_many_tokens_is_refused_before_it_is_tokenized(serve: Serve, messages: bool) -> None:
    tokenizer = CountedTokenizer()
    client = serve(jobs=InProcessJobs({MODEL: tokenizer}))
    text = " " * (4 * 2**18 + 4)
    sent = {"messages": [{"role": "user", "content": text}]} if messages else {"text": text}
    refused = await client.post("/tokenize", json=sent)
    assert refused.status_code == 400
    assert "at least 262145 tokens" in refused.json()["error"]["message"]
    assert tokenizer.asked == 0


async def test_the_memory_of_all_bodies_together_is_bounded() -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await gate.wait()

    bound = BoundHeldBodies(app, most=3000, free=1000)

    def request(size: int) -> "asyncio.Task[None]":
        parts = [{"type": "http.request", "body": b"x" * (size // 2), "more_body": more} for more in (False, True)]

        async def receive() -> Any:
            return parts.pop()

        async def send(message: Any) -> None:
            raise AssertionError

        return asyncio.create_task(bound({"type": "http"}, receive, send))

    held = [request(3000), request(2000), request(1000)]
    await until(lambda: bound.held == 3000)
    with pytest.raises(Overloaded, match="3000 bytes in total"):
        await request(2000)
    assert bound.held == 3000
    small = request(1000)
    gate.set()
    await asyncio.gather(*held, small)
    assert bound.held == 0
    assert FREE_BYTES > 1000
