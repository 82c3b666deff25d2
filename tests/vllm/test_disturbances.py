"""vLLM is stopped, killed and replaced while Oru'el stands in front of it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.server import RunningServer
from tests.vllm.catalog import catalog_of, serve_catalog
from tests.vllm.gateway import LONG, Gateway, error_of, gateway_of, text_of
from tests.vllm.random_model import write_random
from tests.vllm.vllm_process import MODEL, VLLMProcess, free_port, vllm_serve

STREAMS = 10


@dataclass
class Restarted:
    """A vLLM that is started again and again at one address."""

    environment: Path
    log: Path
    port: int = field(default_factory=free_port)
    resources: ExitStack = field(default_factory=ExitStack)

    def start(self, model: Path) -> VLLMProcess:
        self.resources.close()
        started = vllm_serve(self.environment, model, self.log, port=self.port)
        return self.resources.enter_context(started)


@pytest.fixture(scope="module")
def restarted(environment: Path, logs: Path) -> Iterator[Restarted]:
    one = Restarted(environment, logs / "restarted.log")
    yield one
    one.resources.close()


@pytest.fixture(scope="module")
def disturbed(restarted: Restarted, demo: Path) -> VLLMProcess:
    return restarted.start(demo)


@pytest.fixture
def oruel(disturbed: VLLMProcess, demo: Path, tmp_path: Path) -> Iterator[RunningServer]:
    catalog = catalog_of(MODEL, demo, disturbed.root, limits="first_token_seconds = 10\nidle_seconds = 3")
    with serve_catalog(tmp_path, catalog) as running:
        yield running


async def begin(gateway: Gateway, count: int, max_tokens: int) -> list["asyncio.Task[list[dict[str, Any]]]"]:
    """Seeded streams, each of which has begun."""
    begun = [asyncio.Event() for _ in range(count)]
    streams = [
        asyncio.create_task(gateway.stream(event, **LONG, seed=seed, max_tokens=max_tokens))
        for seed, event in enumerate(begun)
    ]
    await asyncio.gather(*(event.wait() for event in begun))
    return streams


def test_a_vllm_that_is_stopped_and_continued_loses_nothing(disturbed: VLLMProcess, oruel: RunningServer) -> None:
    async def scenario() -> None:
        async with gateway_of(oruel) as gateway:
            streams = await begin(gateway, 4, 200)
            disturbed.send(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            disturbed.send(signal.SIGCONT)
            for seed, events in enumerate(await asyncio.gather(*streams)):
                assert error_of(events) is None
                assert text_of(events) == await gateway.text(**LONG, seed=seed, max_tokens=200)

    asyncio.run(scenario())


def test_a_vllm_that_stays_stopped_is_a_timeout_and_serves_again_once_it_is_continued(
    disturbed: VLLMProcess, oruel: RunningServer
) -> None:
    async def scenario() -> None:
        async with gateway_of(oruel) as gateway:
            (stream,) = await begin(gateway, 1, 2000)
            disturbed.send(signal.SIGSTOP)
            try:
                assert error_of(await stream) == "upstream_timeout"
                refused = await gateway.ask(**LONG, max_tokens=5)
                print(refused.json())
                assert refused.status_code in (502, 503, 504)
            finally:
                disturbed.send(signal.SIGCONT)
            await gateway.until(lambda response: response.status_code == 200, **LONG, max_tokens=5)

    asyncio.run(scenario())


def test_two_vllms_keep_conversations_apart_and_one_takes_over_when_the_other_is_killed(
    vllm: VLLMProcess, disturbed: VLLMProcess, demo: Path, tmp_path: Path
) -> None:
    def conversation(number: int) -> list[dict[str, str]]:
        facts = " ".join(f"Fact {fact}: number {number * fact}." for fact in range(60))
        return [{"role": "system", "content": f"Talk {number}. {facts}"}, {"role": "user", "content": "Hello!"}]

    def turn(number: int, text: str) -> dict[str, Any]:
        more = [{"role": "assistant", "content": text}, {"role": "user", "content": "Tell me a joke."}]
        return {"messages": conversation(number) + more, "seed": number, "max_tokens": 20}

    async def scenario(server: RunningServer) -> None:
        async with gateway_of(server) as gateway:
            first = [await gateway.ask(messages=conversation(n), seed=n, max_tokens=20) for n in range(12)]
            homes = [response.headers["x-oruel-deployment"] for response in first]
            texts = [response.json()["choices"][0]["message"]["content"] for response in first]
            assert len(set(homes)) == 2, "both take part"
            second = [await gateway.ask(**turn(number, text)) for number, text in enumerate(texts)]
            assert [response.headers["x-oruel-deployment"] for response in second] == homes
            for response in second:
                assert response.json()["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
            disturbed.kill()
            third = [await gateway.ask(**turn(number, text)) for number, text in enumerate(texts)]
            assert [response.status_code for response in third] == [200] * 12
            assert {response.headers["x-oruel-deployment"] for response in third} == {f"{MODEL}-0"}
            for before, after in zip(second, third, strict=True):
                assert after.json()["choices"][0]["message"] == before.json()["choices"][0]["message"]

    catalog = catalog_of(MODEL, demo, vllm.root, disturbed.root)
    with serve_catalog(tmp_path, catalog) as running:
        asyncio.run(scenario(running))


def test_a_vllm_killed_among_ten_streams_ends_each_with_an_error_and_is_replaced_by_name_only(
    restarted: Restarted, demo: Path, tmp_path: Path
) -> None:
    async def scenario(server: RunningServer, vllm: VLLMProcess) -> None:
        async with gateway_of(server) as gateway:
            streams = await begin(gateway, STREAMS, 2000)
            vllm.kill()
            ended = await asyncio.gather(*streams)
            assert {error_of(events) for events in ended} == {"upstream_failed"}
            print("gone:", (await gateway.ask(**LONG, max_tokens=5)).json()["error"])

            await asyncio.to_thread(restarted.start, write_random(tmp_path / "other"))
            other = await gateway.until(lambda one: one.json()["error"]["code"] == "vllm_unusable", **LONG)
            assert "another vocabulary" in other.json()["error"]["message"]

            await asyncio.to_thread(restarted.start, demo)
            await gateway.until(lambda one: one.status_code == 200, **LONG, max_tokens=5)
            for seed, events in enumerate(ended):
                again = await gateway.text(**LONG, seed=seed, max_tokens=200)
                assert again.startswith(text_of(events)[: len(again)])

    vllm = restarted.start(demo)
    with serve_catalog(tmp_path, catalog_of(MODEL, demo, vllm.root)) as running:
        asyncio.run(scenario(running, vllm))
