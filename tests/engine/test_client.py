"""The engine process and its client, with a real worker over a random-weights model."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from oruel.engine.client import EngineClient
from oruel.engine.generation import Generation
from oruel.engine.protocol import SequenceFailed, SequenceStarted, Start, TokenOutput
from oruel.errors import EngineFailed, InvalidParameter, ModelLoadError, Overloaded
from oruel.types import SamplingParams
from tests.engine.scripted_process import scripted_engine
from tests.gguf_models import llama_model

pytestmark = pytest.mark.model

PROMPT = [72, 101, 108, 108, 111]
# The end tokens of the random model are banned, so that a sequence runs for about two seconds.
ENDLESS = SamplingParams(seed=1, logit_bias={376: -100.0, 378: -100.0})
MANY = 2000
LONG_PROMPT = [32 + position * position % 90 for position in range(300)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"), half=False)


@asynccontextmanager
async def engine(model: Path, *, parallel: int = 4, max_waiting: int = 256) -> AsyncIterator[EngineClient]:
    start = Start(model=str(model), threads=1, parallel=parallel, context=2048)
    client = EngineClient(start, max_waiting=max_waiting)
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


async def read_until_failure(generation: Generation) -> None:
    while True:
        await generation.outputs()


async def wait_for_running(client: EngineClient, *, running: int) -> None:
    """Waits until `running` sequences run and none waits, as reported after each step."""
    for _ in range(1000):
        if client.load.running == running and client.load.waiting == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still {client.load}")


def test_choices_draw_independently_and_each_ends_once(model: Path) -> None:
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


def test_leaving_the_context_cancels_the_sequences(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            with client.generate(PROMPT, ENDLESS, choices=4, max_tokens=MANY) as generation:
                await generation.outputs()
                await wait_for_running(client, running=4)
            steps_before = client.load.steps
            await tokens(client, SamplingParams(seed=2), max_tokens=3)
            assert client.load.running == 0
            assert client.load.steps < steps_before + 1000, "the cancelled sequences continued"

    asyncio.run(scenario())


def test_cancelling_a_choice_does_not_affect_the_others(model: Path) -> None:
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


def test_a_killed_engine_fails_its_requests_and_is_restarted(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            expected = await tokens(client, SamplingParams(seed=9))
            with client.generate(PROMPT, ENDLESS, choices=3, max_tokens=MANY) as generation:
                await generation.outputs()
                assert client.process.pid
                os.kill(client.process.pid, signal.SIGKILL)
                with pytest.raises(EngineFailed):
                    await read_until_failure(generation)
            with pytest.raises(EngineFailed):
                await tokens(client, SamplingParams(seed=9))
            while client.process.status != "ok":
                await asyncio.sleep(0.05)
            assert client.process.restarts == 1
            assert await tokens(client, SamplingParams(seed=9)) == expected

    asyncio.run(scenario())


def test_a_model_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model at all")

    async def scenario() -> None:
        client = EngineClient(Start(model=str(broken)))
        with pytest.raises(ModelLoadError, match="is not a GGUF file"):
            await client.start()
        await client.close()

    asyncio.run(scenario())


def test_a_window_beyond_the_training_context_is_refused(model: Path) -> None:
    async def scenario() -> None:
        client = EngineClient(Start(model=str(model), context=10**6))
        with pytest.raises(ModelLoadError, match="trained for 2048"):
            await client.start()
        await client.close()

    asyncio.run(scenario())


def test_a_full_queue_refuses_sequences_and_the_others_continue(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model, parallel=2, max_waiting=1) as client:
            with (
                client.generate(PROMPT, ENDLESS, choices=2, max_tokens=MANY) as running,
                client.generate(PROMPT, SamplingParams(seed=2), choices=1, max_tokens=3) as waiting,
            ):
                with pytest.raises(Overloaded, match="3 sequences are running or waiting, of at most 3") as refused:
                    await tokens(client, SamplingParams(seed=3))
                assert 1 <= refused.value.retry_after <= 60
                assert await running.outputs()
                assert waiting.admission is None
                running.cancel_all()
                await waiting.started()
                assert await tokens(client, SamplingParams(seed=3))

    asyncio.run(scenario())


def test_a_repeated_prompt_is_found_in_the_prefix_cache(model: Path) -> None:
    async def scenario() -> None:
        async with engine(model) as client:
            places = []
            for _ in range(2):
                with client.generate(LONG_PROMPT, SamplingParams(seed=1), choices=1, max_tokens=2) as generation:
                    places.append(await generation.started())
                    while all(output.finish is None for _, output in await generation.outputs()):
                        pass
            assert places[0].cached == 0
            assert 0 < places[1].cached < len(LONG_PROMPT)
            assert places[1].cached == client.load.cached

    asyncio.run(scenario())


def test_more_choices_than_the_queue_holds_are_an_invalid_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch, parallel=2, max_waiting=3)
        with (
            pytest.raises(InvalidParameter, match="at most 5") as refused,
            client.generate(PROMPT, SamplingParams(), choices=6, max_tokens=5),
        ):
            pass
        assert refused.value.param == "n"
        assert process.sent == []

    asyncio.run(scenario())


def test_a_refused_request_is_not_sent_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch, parallel=1, max_waiting=0)
        with client.generate(PROMPT, SamplingParams(), choices=1, max_tokens=5):
            sent = len(process.sent)
            with pytest.raises(Overloaded), client.generate(PROMPT, SamplingParams(), choices=1, max_tokens=5):
                pass
            assert len(process.sent) == sent

    asyncio.run(scenario())


def test_retry_after_grows_with_the_wait_up_to_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        clock = [1000.0]
        monkeypatch.setattr("oruel.engine.generation.time.perf_counter", lambda: clock[0])
        client, _ = await scripted_engine(monkeypatch, parallel=1, max_waiting=0)
        with client.generate(PROMPT, SamplingParams(), choices=1, max_tokens=5):
            for passed, seconds in [(0, 1), (0.5, 1), (7.2, 8), (3600, 60)]:
                clock[0] = 1000 + passed
                with pytest.raises(Overloaded, match=f"again in {seconds} s") as refused:
                    client.require_room(1)
                assert refused.value.retry_after == seconds

    asyncio.run(scenario())


@pytest.mark.parametrize("param", ["response_format", "response_format.json_schema.schema", "tools"])
def test_a_constraint_that_cannot_be_enforced_is_an_invalid_parameter(
    monkeypatch: pytest.MonkeyPatch, param: str
) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch)
        with client.generate(PROMPT, SamplingParams(), choices=1, max_tokens=5) as generation:
            process.step(failures=[SequenceFailed(process.submitted[0].sequence, "it is too complex", param)])
            with pytest.raises(InvalidParameter, match="too complex") as refused:
                await generation.started()
            assert refused.value.param == param

    asyncio.run(scenario())


def test_the_tier_of_a_request_reaches_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch)
        with client.generate(PROMPT, SamplingParams(), choices=2, max_tokens=5, tier="turbo"):
            assert [(submit.tier, submit.choice) for submit in process.submitted] == [("turbo", 0), ("turbo", 1)]

    asyncio.run(scenario())


def test_a_request_leaves_the_queue_with_its_first_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch)
        with client.generate(PROMPT, SamplingParams(), choices=2, max_tokens=5) as generation:
            assert generation.admission is None
            first, second = (submit.sequence for submit in process.submitted)
            process.step(started=[SequenceStarted(first, 3), SequenceStarted(second, 4)])
            place = await generation.started()
            assert place.cached == 3
            assert place.queued >= 0
            process.step(started=[SequenceStarted(second, 4)])
            assert await generation.started() == place

    asyncio.run(scenario())


def test_a_token_marks_its_request_as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch)
        with client.generate(PROMPT, SamplingParams(), choices=1, max_tokens=5) as generation:
            output = TokenOutput(process.submitted[0].sequence, 7)
            process.step(output)
            assert (await generation.started()).cached == 0
            assert await generation.outputs() == [(0, output)]

    asyncio.run(scenario())


@pytest.mark.parametrize("dies", [True, False])
def test_a_failure_while_waiting_is_raised(monkeypatch: pytest.MonkeyPatch, dies: bool) -> None:
    async def scenario() -> None:
        client, process = await scripted_engine(monkeypatch)
        with client.generate(PROMPT, SamplingParams(), choices=1, max_tokens=5) as generation:
            if dies:
                process.die(EngineFailed("The engine died."))
            else:
                process.step(failures=[SequenceFailed(process.submitted[0].sequence, "No logits came.")])
            with pytest.raises(EngineFailed):
                await generation.started()

    asyncio.run(scenario())
