"""Sends requests to an engine whose vLLM is a stub."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from oruel.engine.generation import Generation
from oruel.engine.protocol import TokenOutput
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import SamplingParams
from tests.engine.vllm.stub_vllm import VOCABULARY, StubVLLM, serve_stub


@asynccontextmanager
async def engine_of(stub: StubVLLM, **settings: Any) -> AsyncIterator[VLLMEngine]:
    timeouts = UpstreamTimeouts(
        connect=1.0, first_token=settings.pop("first_token", 5.0), idle=settings.pop("idle", 5.0)
    )
    async with upstream_client() as session:
        engine = VLLMEngine(TokenServer(session, stub.root, None, timeouts), VOCABULARY, model="demo", **settings)
        try:
            yield engine
        finally:
            await engine.close()


async def collect(generation: Generation, choices: int = 1) -> list[list[TokenOutput]]:
    answers: list[list[TokenOutput]] = [[] for _ in range(choices)]
    while not all(answer and answer[-1].finish for answer in answers):
        for choice, output in await generation.outputs():
            answers[choice].append(output)
    await generation.settled()
    return answers


async def ask(engine: VLLMEngine, *, choices: int = 1, max_tokens: int = 50, **more: Any) -> list[list[TokenOutput]]:
    with engine.generate([1, 2], more.pop("sampling", SamplingParams()), choices=choices, max_tokens=max_tokens,
                         **more) as generation:  # fmt: skip
        return await collect(generation, choices)


def ids(outputs: list[TokenOutput]) -> list[int]:
    return [output.token for output in outputs]


def run(stub: StubVLLM, **more: Any) -> list[TokenOutput]:
    """One choice of one request."""

    async def scenario() -> list[TokenOutput]:
        async with serve_stub(stub), engine_of(stub) as engine:
            return (await ask(engine, **more))[0]

    return asyncio.run(scenario())
