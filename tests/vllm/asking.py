"""Asks a token engine: the one of a real vLLM, or the embedded one."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from oruel.engine.client import EngineClient
from oruel.engine.protocol import Start, TokenOutput
from oruel.engine.token_engine import TokenEngine
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.engine.vllm.test_engine import collect
from tests.vllm.vllm_process import MODEL, RunningVLLM

CONTEXT = 4096


@dataclass(frozen=True)
class Question:
    prompt: list[int]
    sampling: SamplingParams
    max_tokens: int


@asynccontextmanager
async def vllm_engine(vllm: RunningVLLM, vocabulary: Vocabulary, **settings: Any) -> AsyncIterator[VLLMEngine]:
    timeouts = UpstreamTimeouts(connect=5.0, first_token=120.0, idle=120.0)
    async with upstream_client() as session:
        server = TokenServer(session, vllm.root, None, timeouts)
        engine = VLLMEngine(server, vocabulary, model=MODEL, **settings)
        try:
            await engine.start()
            yield engine
        finally:
            await engine.close()


@asynccontextmanager
async def embedded_engine(path: Path) -> AsyncIterator[EngineClient]:
    engine = EngineClient(Start(model=str(path), context=CONTEXT, parallel=16, threads=2))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


async def ask(engine: TokenEngine, question: Question, *, choices: int = 1, **more: Any) -> list[list[TokenOutput]]:
    """The outputs of each choice."""
    with engine.generate(
        question.prompt, question.sampling, choices=choices, max_tokens=question.max_tokens, **more
    ) as generation:
        return await collect(generation, choices)


async def ask_together(engine: TokenEngine, questions: Sequence[Question], at_once: int) -> list[list[TokenOutput]]:
    """The outputs of each question."""
    turn = asyncio.Semaphore(at_once)

    async def one(question: Question) -> list[TokenOutput]:
        async with turn:
            return (await ask(engine, question))[0]

    return await asyncio.gather(*map(one, questions))


def tokens_of(outputs: Sequence[TokenOutput]) -> list[int]:
    return [output.token for output in outputs]


def bias_against_ending(vocabulary: Vocabulary) -> dict[int, float]:
    """A logit_bias with which answers go on up to max_tokens."""
    return {token: -100.0 for token in range(vocabulary.size) if vocabulary.is_end(token)}


def read_metric(vllm: RunningVLLM, name: str) -> float:
    """The value of vllm:NAME."""
    text = httpx2.get(f"{vllm.root}/metrics", timeout=30).text
    found = re.search(rf"^vllm:{name}\{{.*\}} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])
