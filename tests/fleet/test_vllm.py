"""A catalog whose engine is a vLLM with the plugin, from its start to its answers, over HTTP and against a stub."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from oruel.hugging_face.folder import ModelFolder
from tests.engine.vllm.behind_oruel import deployment, stub_of, write_catalog
from tests.engine.vllm.stub_vllm import serve_stub
from tests.server import RunningServer, oruel_serve

pytestmark = pytest.mark.anyio

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(catalog: Path) -> AsyncIterator[RunningServer]:
    with ExitStack() as up:
        yield await asyncio.to_thread(up.enter_context, oruel_serve("--catalog", str(catalog)))
        await asyncio.to_thread(up.close)


async def test_an_answer_is_the_text_of_the_tokens_that_vllm_sends(tmp_path: Path, demo_folder: Path) -> None:
    vocabulary = ModelFolder(demo_folder).vocabulary
    assert vocabulary.eos is not None
    stub = stub_of(demo_folder, script=lambda row: [*vocabulary.tokenize("Hello there."), vocabulary.eos])
    async with serve_stub(stub):
        catalog = write_catalog(tmp_path / "catalog.toml", deployment("far", stub.root, demo_folder))
        async with (
            serving(catalog) as server,
            openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client,
        ):
            raw = await client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
            answer = raw.parse()
            assert raw.headers["x-oruel-deployment"] == "far"
            assert answer.choices[0].message.content == "Hello there."
            assert answer.choices[0].finish_reason == "stop"
            assert answer.system_fingerprint
