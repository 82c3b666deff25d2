"""What answers have to keep, over HTTP: choices, log-probabilities, limits, stops and deadlines."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import RunningServer, oruel_serve
from tests.vllm.asking import read_metric, wait_for_metric
from tests.vllm.catalog import catalog_of, serve_catalog
from tests.vllm.gateway import LONG, Gateway, gateway_of
from tests.vllm.vllm_process import MODEL, VLLMProcess

STORY: list[Any] = [{"role": "user", "content": "Write a story."}]
# On an idle machine vLLM generates none after the end; a busy one hears of the end later.
LATE_TOKENS = 300
SMALL_WINDOW = 1024
# The last tokens of vLLM's window are kept for marks.
RESERVE = 2
# The embedded engine keeps weights in F16 and vLLM in F32.
ROUNDING = 0.2


@pytest.fixture(scope="module")
def embedded() -> Iterator[RunningServer]:
    with oruel_serve() as running:
        yield running


@pytest.fixture(scope="module")
def small_server(
    small_vllm: VLLMProcess, demo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    with serve_catalog(tmp_path_factory.mktemp("small"), catalog_of(MODEL, demo, small_vllm.root)) as running:
        yield running


async def generated_for(vllm: VLLMProcess, work: Callable[[], Awaitable[object]]) -> float:
    """How many tokens vLLM generates for it."""
    await wait_for_metric(vllm, "num_requests_running", lambda running: running == 0)
    before = await asyncio.to_thread(read_metric, vllm, "generation_tokens_total")
    await work()
    await wait_for_metric(vllm, "num_requests_running", lambda running: running == 0)
    return await asyncio.to_thread(read_metric, vllm, "generation_tokens_total") - before


def ask_both(server: RunningServer, embedded: RunningServer, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer with vLLM behind, and that of the embedded engine."""

    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        async with gateway_of(server) as gateway, gateway_of(embedded) as other:
            return await gateway.answer(**fields), await other.answer(**fields)

    return asyncio.run(scenario())


def test_eight_choices_are_those_of_the_embedded_engine(server: RunningServer, embedded: RunningServer) -> None:
    ours, theirs = ask_both(server, embedded, messages=STORY, n=8, seed=5, max_tokens=60, temperature=0.9)
    assert [choice["message"] for choice in ours["choices"]] == [choice["message"] for choice in theirs["choices"]]
    assert len({choice["message"]["content"] for choice in ours["choices"]}) == 8
    assert ours["usage"]["completion_tokens"] == theirs["usage"]["completion_tokens"]


def test_logprobs_are_the_model_s_own_whatever_the_parameters(server: RunningServer, embedded: RunningServer) -> None:
    fields: dict[str, Any] = {"messages": STORY, "seed": 3, "max_tokens": 60, "logprobs": True, "top_logprobs": 5}
    fields |= {"temperature": 1.3, "top_k": 20, "repetition_penalty": 1.3, "logit_bias": {"300": 1}}
    ours, theirs = ask_both(server, embedded, **fields)
    (one,), (other,) = ours["choices"], theirs["choices"]
    assert one["message"] == other["message"]
    assert (
        bytes(byte for entry in one["logprobs"]["content"] for byte in entry["bytes"]).decode()
        == (one["message"]["content"])
    )
    for entry, same in zip(one["logprobs"]["content"], other["logprobs"]["content"], strict=True):
        assert (entry["token"], entry["bytes"]) == (same["token"], same["bytes"])
        assert entry["logprob"] == pytest.approx(same["logprob"], abs=ROUNDING)
        assert len(entry["top_logprobs"]) == 5
        best, other_best = entry["top_logprobs"][0], same["top_logprobs"][0]
        assert best["logprob"] == pytest.approx(other_best["logprob"], abs=ROUNDING)


def test_max_tokens_is_clamped_to_the_served_window(small_server: RunningServer) -> None:
    async def scenario() -> None:
        async with gateway_of(small_server) as gateway:
            answer = await gateway.answer(**LONG, seed=1, max_tokens=131072)
            assert answer["choices"][0]["finish_reason"] == "length"
            assert answer["usage"]["total_tokens"] == SMALL_WINDOW - RESERVE
            refused = await gateway.ask(messages=[{"role": "user", "content": "word " * 2000}])
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")

    asyncio.run(scenario())


def test_a_stop_sequence_ends_the_answer_in_vllm(server: RunningServer, vllm: VLLMProcess) -> None:
    async def scenario() -> None:
        async with gateway_of(server) as gateway:
            whole = await gateway.text(**LONG, seed=4, max_tokens=200)
            stop = whole[60:66]
            found: list[dict[str, Any]] = []

            async def ask() -> None:
                found.append(await gateway.answer(**LONG, seed=4, max_tokens=2000, stop=stop))

            generated = await generated_for(vllm, ask)
            (answer,) = found
            assert answer["choices"][0]["message"]["content"] == whole[: whole.index(stop)]
            assert answer["choices"][0]["finish_reason"] == "stop"
            print(f"{answer['usage']['completion_tokens']} tokens in usage, {generated:.0f} generated")
            assert generated <= answer["usage"]["completion_tokens"] + LATE_TOKENS

    asyncio.run(scenario())


def test_a_client_that_leaves_ends_its_answers_in_vllm(server: RunningServer, vllm: VLLMProcess) -> None:
    async def leave(gateway: Gateway) -> None:
        begun = asyncio.Event()
        stream = asyncio.create_task(gateway.stream(begun, **LONG, n=2, max_tokens=2000))
        await begun.wait()
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)

    async def scenario() -> None:
        async with gateway_of(server) as gateway:
            generated = await generated_for(vllm, lambda: leave(gateway))
            print(f"{generated:.0f} tokens generated")
            assert generated < 2 * LATE_TOKENS

    asyncio.run(scenario())


def test_a_deadline_ends_the_answer_in_vllm(server: RunningServer, vllm: VLLMProcess) -> None:
    async def scenario() -> None:
        async with gateway_of(server) as gateway:
            gateway.client.headers["x-request-timeout"] = "0.5"
            found: list[int] = []

            async def ask() -> None:
                found.append((await gateway.ask(**LONG, n=8, max_tokens=3500)).status_code)

            generated = await generated_for(vllm, ask)
            print(f"{generated:.0f} tokens generated")
            assert found == [504]
            assert generated < 8 * 3500

    asyncio.run(scenario())


def test_a_trace_is_refused_by_name(server: RunningServer) -> None:
    async def scenario() -> None:
        async with gateway_of(server) as gateway:
            refused = await gateway.ask(messages=STORY, trace={"top": 3})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "trace")

    asyncio.run(scenario())
