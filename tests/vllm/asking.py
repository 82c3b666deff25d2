"""Asks a token engine: the one of a real vLLM, or the embedded one."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from oruel.engine.client import EngineClient
from oruel.engine.protocol import Start, TokenOutput
from oruel.engine.token_engine import TokenEngine
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.engine.vllm.asking import collect
from tests.vllm.vllm_process import MODEL, VLLMProcess

CONTEXT = 4096
WAIT_SECONDS = 120


@dataclass(frozen=True)
class Question:
    """What a token engine is asked."""

    prompt: list[int]
    sampling: SamplingParams
    max_tokens: int


@dataclass(frozen=True)
class Reply:
    """The outputs of each choice, and how many tokens of the prompt were cached."""

    choices: list[list[TokenOutput]]
    cached: int


@asynccontextmanager
async def vllm_engine(vllm: VLLMProcess, vocabulary: Vocabulary, **settings: Any) -> AsyncIterator[VLLMEngine]:
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
    engine = EngineClient(Start(model=str(path), context=CONTEXT, parallel=16, threads=1))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


async def ask(engine: TokenEngine, question: Question, *, choices: int = 1, **more: Any) -> Reply:
    with engine.generate(
        question.prompt, question.sampling, choices=choices, max_tokens=question.max_tokens, **more
    ) as generation:
        return Reply(await collect(generation, choices), generation.cached)


async def tokens_for(engine: TokenEngine, question: Question, **more: Any) -> list[int]:
    """The tokens of the only choice."""
    (outputs,) = (await ask(engine, question, **more)).choices
    return tokens_of(outputs)


async def ask_together(
    engine: TokenEngine, questions: Sequence[Question], at_once: int, **more: Any
) -> list[list[int]]:
    """The tokens of each question's only choice."""
    turn = asyncio.Semaphore(at_once)

    async def one(question: Question) -> list[int]:
        async with turn:
            return await tokens_for(engine, question, **more)

    return await asyncio.gather(*map(one, questions))


def tokens_of(outputs: Sequence[TokenOutput]) -> list[int]:
    return [output.token for output in outputs]


def bias_against_ending(vocabulary: Vocabulary) -> dict[int, float]:
    """A logit_bias with which answers go on up to max_tokens."""
    return {token: -100.0 for token in range(vocabulary.size) if vocabulary.is_end(token)}


def read_metric(vllm: VLLMProcess, name: str) -> float:
    """The value of vllm:NAME."""
    with urlopen(f"{vllm.root}/metrics", timeout=30) as response:
        text: str = response.read().decode()
    found = re.search(rf"^vllm:{name}\{{.*\}} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


async def wait_for_metric(vllm: VLLMProcess, name: str, holds: Callable[[float], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds(await asyncio.to_thread(read_metric, vllm, name)):
            await asyncio.sleep(0.02)
