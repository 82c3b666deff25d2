"""A server whose deployments are both embedded engines and upstream servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from oruel.fleet.embedded import fingerprint
from tests.gguf_models import llama_model, tool_model
from tests.server import RunningServer, oruel_serve
from tests.stub_server import Stub, saying, status, stub_server

pytestmark = [pytest.mark.model, pytest.mark.anyio]

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
KEY = "sk-7h1s-1s-n0b0dys-bus1n3ss"

CATALOG = """
[[models]]
name = "mixed"
context = 300
[[models.deployments]]
name = "plain"
engine = "PLAIN"
cost = { input = 1, output = 1 }
[[models.deployments]]
name = "stub"
base_url = "URL"
kind = "vllm"
model = "x"
accepts = ["tools"]
key_variable = "STUB_KEY"
cost = { input = 2, output = 2 }

[[models]]
name = "engines"
[[models.deployments]]
name = "cheap"
engine = "PLAIN"
cost = { input = 1, output = 1 }
[[models.deployments]]
name = "tools"
engine = "TOOLS"
cost = { input = 2, output = 2 }

[[models]]
name = "alone"
context = 300
[[models.deployments]]
name = "lonely"
engine = "PLAIN"

[[models]]
name = "away"
[[models.deployments]]
name = "elsewhere"
base_url = "URL"
kind = "vllm"
model = "y"
key_variable = "STUB_KEY"
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Mixed:
    server: RunningServer
    client: httpx2.AsyncClient
    stub: Stub

    async def ask(self, model: str, **fields: Any) -> httpx2.Response:
        asked = {"model": model, "messages": HELLO, "max_tokens": 4, **fields}
        return await self.client.post("/v1/chat/completions", json=asked)


@pytest.fixture(scope="module")
async def mixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mixed]:
    folder = tmp_path_factory.mktemp("mixed")
    engines = {"PLAIN": str(llama_model(folder)), "TOOLS": str(tool_model(folder))}
    async with stub_server(saying("from", " afar")) as stub:
        text = CATALOG.replace("URL", stub.base_url)
        for name, path in engines.items():
            text = text.replace(f'"{name}"', json.dumps(path))
        (folder / "catalog.toml").write_text(text)
        flags = ("--catalog", str(folder / "catalog.toml"), "--threads", "1", "--template-kwargs", "think")
        with ExitStack() as up:
            started = oruel_serve(*flags, environment={"STUB_KEY": KEY})
            server = await asyncio.to_thread(up.enter_context, started)
            async with httpx2.AsyncClient(base_url=server.url, timeout=60) as client:
                yield Mixed(server, client, stub)
            await asyncio.to_thread(up.close)


def served_by(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.headers["x-oruel-deployment"])


async def test_each_request_goes_to_a_deployment_that_supports_it(mixed: Mixed) -> None:
    assert served_by(await mixed.ask("mixed")) == "plain"
    assert served_by(await mixed.ask("mixed", tools=TOOLS)) == "stub"
    assert mixed.stub.bodies[-1]["tools"][0]["function"]["name"] == "look"
    assert served_by(await mixed.ask("engines")) == "cheap"
    assert served_by(await mixed.ask("engines", tools=TOOLS, tool_choice="required")) == "tools"


async def test_parameters_that_no_deployment_supports_are_refused_by_name(mixed: Mixed) -> None:
    refused = await mixed.ask("alone", tools=TOOLS)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools")
    refused = await mixed.ask("engines", logit_bias={"999999": 1})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "logit_bias")


async def test_template_arguments_reach_upstream_servers(mixed: Mixed) -> None:
    served_by(await mixed.ask("away", chat_template_kwargs={"think": True}))
    assert mixed.stub.bodies[-1]["chat_template_kwargs"] == {"think": True}
    refused = await mixed.ask("away", chat_template_kwargs={"thnk": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "chat_template_kwargs.thnk")


async def test_the_fingerprint_belongs_to_the_engine_that_answered(mixed: Mixed) -> None:
    answers = {
        name: (await mixed.ask(model, **fields)).json()
        for name, model, fields in (
            ("plain", "mixed", {}),
            ("stub", "mixed", {"tools": TOOLS}),
            ("cheap", "engines", {}),
            ("tools", "engines", {"tools": TOOLS}),
            ("elsewhere", "away", {}),
        )
    }
    named = {name: answer["system_fingerprint"] for name, answer in answers.items()}
    assert named["stub"] is None
    assert named["elsewhere"] is None
    assert named["plain"] == named["cheap"], "two engines with the same model file"
    assert named["plain"] != named["tools"]
    assert str(named["plain"]).startswith("fp_")
    streamed = (await mixed.ask("engines", tools=TOOLS, stream=True)).text
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    assert {chunk["system_fingerprint"] for chunk in chunks} == {named["tools"]}


@pytest.mark.parametrize(
    ("kernels", "same"), [("llama.cpp x batch-invariant", True), ("llama.cpp x batch-dependent", False)]
)
def test_the_fingerprint_depends_on_the_determinism_mode(tmp_path: Path, kernels: str, same: bool) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    assert (fingerprint(path, kernels) == fingerprint(path, "llama.cpp x batch-invariant")) is same


async def test_the_engine_uses_the_context_from_the_catalog(mixed: Mixed) -> None:
    models = {one["id"]: one for one in (await mixed.client.get("/v1/models")).json()["data"]}
    assert {name: one["context_length"] for name, one in models.items()} == {
        "mixed": 300, "engines": 2048, "alone": 300, "away": None,
    }  # fmt: skip
    long = [{"role": "user", "content": "x" * 400}]
    assert (await mixed.ask("engines", messages=long)).status_code == 200
    assert served_by(await mixed.ask("mixed", messages=long)) == "stub", "whose context may be longer"
    refused = await mixed.ask("alone", messages=long)
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert "300" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("flags", "words"), [((), "trained for 2048"), (("--kv", "4000"), "kv is 4000")])
def test_an_impossible_context_is_refused_at_startup_by_name(
    flags: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    own = f'[[models.deployments]]\nname = "own"\nengine = "{llama_model(tmp_path)}"\n'
    (tmp_path / "catalog.toml").write_text(f'[[models]]\nname = "m"\ncontext = 5000\n{own}')
    started = oruel_serve("--catalog", str(tmp_path / "catalog.toml"), *flags)
    with pytest.raises(AssertionError, match=f"own of m can't start: .*{words}"):
        started.__enter__()


REFUSALS = [
    (401, {"error": {"message": "You may not.", "code": "invalid_api_key"}}),
    (401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
    (400, {"error": {"message": f"{'x' * 380} {KEY}", "param": KEY}}),
    (403, f"No such key: Bearer {KEY}"),
    (500, {"error": {"message": "\n".join(["headers:", f"authorization: Bearer {KEY}"])}}),
]


async def test_an_upstream_key_is_sent_only_to_its_server(mixed: Mixed) -> None:
    fine, answers, asked = mixed.stub.script, [], len(mixed.stub.heads)
    for code, body in REFUSALS:
        mixed.stub.script = status(code, body if isinstance(body, str) else json.dumps(body))
        answers += [await mixed.ask("away"), await mixed.ask("away", stream=True)]
        mixed.stub.script = fine
        # A success in between keeps the circuit breaker closed.
        served_by(await mixed.ask("away"))
    assert len(mixed.stub.heads) - asked == 3 * len(REFUSALS)
    assert [answer.status_code for answer in answers] == [502] * 4 + [400] * 2 + [502] * 4
    assert f"authorization: bearer {KEY}".encode() in mixed.stub.heads[-1].lower()
    last = answers[-1].headers["x-request-id"]
    while not any(last in line for line in mixed.server.lines):
        await asyncio.sleep(0.05)
    shown = "".join(f"{answer.headers} {answer.text}" for answer in answers) + "".join(mixed.server.lines)
    assert KEY[:12] not in shown
    metrics = await mixed.client.get("/metrics")
    assert KEY[:12] not in metrics.text
