"""An API on a fake backend: in memory through ASGI, or on a real loopback port."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
import structlog
import uvicorn

from oruel.api.edge import EdgeConfig, EdgeLimits, sweep_connections
from oruel.api.routes import create_api
from oruel.api.services import Health, Services
from oruel.router.catalog import Catalog, ModelCard
from tests.fakes import MODEL, FakeBackend, FakeTokenizer, InProcessJobs

CARD = ModelCard(
    MODEL,
    context=2048,
    vocabulary_size=1000,
    created=1_700_000_000,
    aliases=("llama-4-maverick",),
    template_kwargs=("enable_thinking",),
)

CHAT = "/v1/chat/completions"

Client = httpx2.AsyncClient
Serve = Callable[..., Client]


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    # A server's last lines may come after the test that started it, where nothing captures them.
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.testing.ReturnLoggerFactory())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def services_for(backend: FakeBackend, /, **changes: Any) -> Services:
    given: dict[str, Any] = {
        "backend": backend,
        "catalog": Catalog((CARD,)),
        "jobs": InProcessJobs({MODEL: FakeTokenizer()}),
        "tokenizers": {MODEL: MODEL},
        "health": lambda: Health("ok"),
        "fingerprint": lambda deployment: "fp-test",
    }
    return Services(**given | changes)


@pytest.fixture
async def serve(backend: FakeBackend) -> AsyncIterator[Serve]:
    """Makes a client of an API whose services differ by the given fields."""
    clients: list[Client] = []

    def make(**changes: Any) -> Client:
        transport = httpx2.ASGITransport(create_api(services_for(backend, **changes)), raise_app_exceptions=True)
        clients.append(Client(transport=transport, base_url="http://localhost"))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def client(serve: Serve) -> Client:
    return serve()


@contextmanager
def served(
    backend: FakeBackend, *, limits: EdgeLimits | None = None, send_buffer: int = 0, **changes: Any
) -> Iterator[str]:
    """The base URL of a real server on a free loopback port, in a thread of its own. `send_buffer`: how many bytes of
    an answer the kernel holds, instead of its own choice of up to 4 MiB.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = uvicorn.Server(EdgeConfig(create_api(services_for(backend, **changes)), limits or EdgeLimits()))

    async def serve() -> None:
        sweeping = asyncio.create_task(sweep_connections(server.server_state))
        await server.serve(sockets=[listener])
        sweeping.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@pytest.fixture
def live(backend: FakeBackend) -> Iterator[str]:
    with served(backend) as url:
        yield url


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]} | fields


def schema(described: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": described, **more}}}


def tool(name: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    described = {} if parameters is None else {"parameters": parameters}
    return {"type": "function", "function": {"name": name, **described, **more}}


def nested(depth: int) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        described = {"type": "object", "properties": {"a": described}}
    return described


async def converse(client: Client, gate: asyncio.Event, opener: bytes, **fields: Any) -> list[str]:
    """The events of a stream, spoken to the application itself; `gate` opens when `opener` has been sent."""
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if opener in sent[-1]:
            gate.set()

    inbox = [{"type": "http.request", "body": json.dumps(chat(stream=True, **fields)).encode(), "more_body": False}]

    async def receive() -> Any:
        return inbox.pop() if inbox else await asyncio.Event().wait()

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": CHAT, "raw_path": CHAT.encode(), "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    transport: Any = client._transport
    async with asyncio.timeout(10):
        await transport.app(scope, receive, send)
    return b"".join(sent).decode().removesuffix("\n\n").split("\n\n")
