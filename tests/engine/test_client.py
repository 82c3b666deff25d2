"""The engine process and its client, with a real worker over a random-weights model."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from oruel.engine.client import EngineClient, Generation
from oruel.engine.protocol import Start, TokenOutput
from oruel.errors import EngineFailed, ModelLoadError, Overloaded
from oruel.types import SamplingParams
from tests.gguf_models import llama_model

pytestmark = pytest.mark.model

PROMPT = [72, 101, 108, 108, 111]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"), half=False)


@asynccontextmanager
async def engine(model: Path) -> AsyncIterator[EngineClient]:
    client = EngineClient(Start(model=str(model), threads=1, slots=4, context=512))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def tokens(client: EngineClient, sampling: SamplingParams, *, max_tokens: int = 12) -> list[int]:
    collected: list[TokenOutput] = []
    with client.generate(PROMPT, sampling, choices=1, max_tokens=max_tokens) as generation:
        while not collected or collected[-1].finish is None:
            collected += [output for _, output in await generation.outputs()]
    return [output.token for output in collected]


async def exhaust(generation: Generation) -> None:
    while True:
        await generation.outputs()


async def settle(client: EngineClient, *, running: int) -> None:
    """Waits until the engine says that so many sequences run; the engine speaks with every step."""
    for _ in range(1000):
        if client.load.running == running and client.load.waiting == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still {client.load}")


def test_choices_of_one_request_draw_apart_and_each_ends_once(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            ended: Counter[int] = Counter()
            texts: dict[int, list[int]] = {}
            with client.generate(PROMPT, SamplingParams(seed=5), choices=8, max_tokens=6) as generation:
                while sum(ended.values()) < 8:
                    for choice, output in await generation.outputs():
                        texts.setdefault(choice, []).append(output.token)
                        ended[choice] += output.finish is not None
            assert ended == Counter(range(8))
            assert len({tuple(text) for text in texts.values()}) > 4

    asyncio.run(scenario())


def test_leaving_a_generation_frees_its_places(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            with client.generate(PROMPT, SamplingParams(seed=1), choices=4, max_tokens=400) as generation:
                await generation.outputs()
                await settle(client, running=4)
            steps_before = client.load.steps
            await tokens(client, SamplingParams(seed=2), max_tokens=3)
            assert client.load.running == 0
            assert client.load.steps < steps_before + 100, "the cancelled sequences ran on"

    asyncio.run(scenario())


def test_a_cancelled_choice_leaves_the_others_running(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            seen: set[int] = set()
            with client.generate(PROMPT, SamplingParams(seed=1), choices=2, max_tokens=60) as generation:
                await generation.outputs()
                generation.cancel(0)
                finished = False
                while not finished:
                    outputs = await generation.outputs()
                    seen |= {choice for choice, _ in outputs}
                    finished = any(output.finish for _, output in outputs)
            assert 1 in seen

    asyncio.run(scenario())


def test_a_killed_engine_fails_its_requests_and_comes_back(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            expected = await tokens(client, SamplingParams(seed=9))
            with client.generate(PROMPT, SamplingParams(seed=1), choices=3, max_tokens=400) as generation:
                await generation.outputs()
                assert client.process.pid
                os.kill(client.process.pid, signal.SIGKILL)
                with pytest.raises(EngineFailed):
                    await exhaust(generation)
            with pytest.raises(EngineFailed):
                await tokens(client, SamplingParams(seed=9))
            while client.process.status != "ok":
                await asyncio.sleep(0.05)
            assert client.process.restarts == 1
            assert await tokens(client, SamplingParams(seed=9)) == expected

    asyncio.run(scenario())


def test_an_engine_that_cannot_load_its_model_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model at all")

    async def scenario() -> None:
        client = EngineClient(Start(model=str(broken)))
        with pytest.raises(ModelLoadError, match="is not a GGUF file"):
            await client.start()
        await client.close()

    asyncio.run(scenario())


def test_a_window_beyond_what_the_model_was_trained_for_is_refused(model: Path) -> None:
    async def scenario() -> None:
        client = EngineClient(Start(model=str(model), context=10**6))
        with pytest.raises(ModelLoadError, match="trained for 2048"):
            await client.start()
        await client.close()

    asyncio.run(scenario())


def test_more_sequences_than_the_endpoint_holds_are_refused_and_the_rest_go_on(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oruel.engine.client.MAX_SEQUENCES", 3)

    async def scenario() -> None:
        async with engine(model) as client:
            with client.generate(PROMPT, SamplingParams(seed=1), choices=2, max_tokens=50) as generation:
                with (
                    pytest.raises(Overloaded),
                    client.generate(PROMPT, SamplingParams(seed=1), choices=2, max_tokens=5),
                ):
                    pass
                assert await generation.outputs()
            assert await tokens(client, SamplingParams(seed=1))

    asyncio.run(scenario())
