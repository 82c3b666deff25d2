"""vLLM stops computing an answer when its reader stops."""

import asyncio

import pytest

from oruel.engine.generation import Generation
from oruel.types import SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.vllm.asking import Question, ask, bias_against_ending, read_metric, tokens_of, vllm_engine, wait_for_metric
from tests.vllm.vllm_process import VLLMProcess

MAX_TOKENS = 2000
# A step is in progress when the cancellation arrives. On a busy machine, it arrives a few steps later.
LATE_TOKENS = 300


async def read(generation: Generation, count: int) -> int:
    """Reads at least `count` tokens, and returns how many."""
    found = 0
    while found < count:
        found += len(await generation.outputs())
    return found


async def computed_when_idle(vllm: VLLMProcess) -> float:
    """How many tokens vLLM has ever generated, once it has nothing to do."""
    await wait_for_metric(vllm, "num_requests_running", lambda running: running == 0)
    return await asyncio.to_thread(read_metric, vllm, "generation_tokens_total")


@pytest.mark.parametrize("leaves", [False, True], ids=["cancels the choice", "leaves the request"])
def test_after_a_cancellation_vllm_stops_long_before_max_tokens(
    vllm: VLLMProcess, vocabulary: Vocabulary, leaves: bool
) -> None:
    async def scenario() -> None:
        sampling = SamplingParams(seed=1, logit_bias=bias_against_ending(vocabulary))
        async with vllm_engine(vllm, vocabulary) as engine:
            before = await computed_when_idle(vllm)
            with engine.generate([1, 300], sampling, choices=1, max_tokens=MAX_TOKENS) as generation:
                seen = await read(generation, 20)
                if not leaves:
                    generation.cancel(0)
                    await generation.settled()
            computed = await computed_when_idle(vllm) - before
            print(f"{seen} tokens were read, {computed:.0f} generated")
            assert computed <= seen + LATE_TOKENS

    asyncio.run(scenario())


def test_a_cancelled_choice_leaves_the_others_their_text(vllm: VLLMProcess, vocabulary: Vocabulary) -> None:
    async def scenario() -> None:
        sampling = SamplingParams(seed=2, logit_bias=bias_against_ending(vocabulary))
        question = Question([1, 300], sampling, 100)
        async with vllm_engine(vllm, vocabulary) as engine:
            _, kept = (await ask(engine, question, choices=2)).choices
            with engine.generate(question.prompt, sampling, choices=2, max_tokens=100) as generation:
                tokens: list[int] = []
                while len(tokens) < 100:
                    tokens += [output.token for choice, output in await generation.outputs() if choice == 1]
                    generation.cancel(0)
            assert tokens == tokens_of(kept)

    asyncio.run(scenario())
