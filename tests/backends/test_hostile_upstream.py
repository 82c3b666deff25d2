"""Oru'el in front of adversarial upstream servers: failures count, another server answers, and errors are JSON."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from tests.hostile_upstreams import HOSTILE
from tests.server import oruel_serve
from tests.stub_server import HEAD, chunk, saying, stub_server

pytestmark = pytest.mark.anyio

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
NAMES = {name: f"m{number}" for number, name in enumerate(HOSTILE)}
LATE = "late"


def model(name: str, *urls: str) -> str:
    """The first deployment is the cheapest."""
    deployments = (
        f'[[models.deployments]]\nname = "{name}-{cost}"\nbase_url = "{url}"\nkind = "oruel"\nmodel = "x"\n'
        f"idle_seconds = 0.7\nfirst_token_seconds = 0.7\ncost = {{ input = {cost}, output = {cost} }}\n"
        for cost, url in enumerate(urls, 1)
    )
    return f'[[models]]\nname = "{name}"\n{"".join(deployments)}\n'


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    file = tmp_path_factory.mktemp("hostile") / "catalog.toml"
    scripts = {NAMES[name]: script for name, script in HOSTILE.items()}
    scripts[LATE] = [HEAD, chunk("begun"), 0.2, b'data: {"choices": ' + b"[" * 100_000 + b"\n\n"]
    async with AsyncExitStack() as up:
        good = await up.enter_async_context(stub_server(saying("fine")))
        urls = {name: (await up.enter_async_context(stub_server(script))).base_url for name, script in scripts.items()}
        file.write_text(
            "".join(model(name, url, good.base_url) + model(f"{name}-alone", url) for name, url in urls.items())
        )
        server = up.enter_context(oruel_serve("--catalog", str(file)))
        yield await up.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=30))


async def ask(client: httpx2.AsyncClient, name: str, **fields: Any) -> httpx2.Response:
    return await client.post("/v1/chat/completions", json={"model": name, "messages": HELLO, **fields})


async def failures(client: httpx2.AsyncClient, deployment: str) -> float:
    metrics = (await client.get("/metrics")).text
    found = re.search(rf'^oruel_deployment_failed\{{deployment="{deployment}"\}} (\S+)', metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
async def test_another_server_answers_instead_of_an_adversarial_one(client: httpx2.AsyncClient, name: str) -> None:
    complete = await ask(client, name)
    assert (complete.status_code, complete.json()["choices"][0]["message"]["content"]) == (200, "fine")
    streamed = await ask(client, name, stream=True)
    assert '"content":"fine"' in streamed.text
    assert "error" not in streamed.text
    assert await failures(client, f"{name}-1") == 2
    assert await failures(client, f"{name}-2") == 0


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
async def test_an_adversarial_server_is_paused_after_three_failures(client: httpx2.AsyncClient, name: str) -> None:
    answers = [await ask(client, f"{name}-alone", stream=stream) for stream in (False, True, False, True)]
    for answer in answers:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert {answer.status_code for answer in answers[:3]} <= {502, 504}
    assert answers[3].status_code == 503
    assert "is paused" in answers[3].json()["error"]["message"]
    assert await failures(client, f"{name}-alone-1") == 3


async def test_a_failure_after_the_first_text_ends_the_stream_with_an_error(client: httpx2.AsyncClient) -> None:
    events = [line for line in (await ask(client, LATE, stream=True)).text.split("\n\n") if line]
    assert any('"content":"begun"' in one for one in events[:2])
    assert '"code":"upstream_failed"' in events[-2]
    assert events[-1] == "data: [DONE]"
    assert await failures(client, f"{LATE}-1") == 1
