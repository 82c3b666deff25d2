"""vLLM's scheduler, with a window, a KV cache and a batch so small that it has to cut and to preempt."""

import asyncio
import json
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from oruel.constraints.spec import SchemaSpec
from oruel.engine.protocol import NO_TOKEN
from oruel.engine.token_engine import TokenEngine
from oruel.text.tokenizer import Tokenizer
from oruel.types import Message, SamplingParams, Tier
from oruel.vocabulary.base import Vocabulary
from tests.vllm.asking import (
    Question,
    ask,
    ask_together,
    bias_against_ending,
    read_metric,
    vllm_engine,
    wait_for_metric,
)
from tests.vllm.questions import random_questions
from tests.vllm.vllm_process import VLLMProcess

PARALLEL = 4
WAITING = 8
ATTEMPTS = 5
WORD = {"type": "string", "minLength": 3, "maxLength": 12}
WORDS = {"type": "array", "items": WORD, "minItems": 40, "maxItems": 1000}


@pytest.fixture(scope="module", params=["small_vllm", "async_vllm"])
def scheduler(request: pytest.FixtureRequest) -> VLLMProcess:
    """The small vLLM, which schedules step by step, and one that schedules ahead."""
    found: VLLMProcess = request.getfixturevalue(request.param)
    return found


async def same_in_both(
    vllm: VLLMProcess, scheduler: VLLMProcess, vocabulary: Vocabulary, questions: list[Question], **more: Any
) -> list[list[int]]:
    """Asks both, the small one at once. Returns the tokens, which must be the same."""
    async with vllm_engine(vllm, vocabulary) as large, vllm_engine(scheduler, vocabulary) as small:
        tokens = await ask_together(large, questions, PARALLEL, **more)
        assert await ask_together(small, questions, 2 * PARALLEL, **more) == tokens
        return tokens


def test_a_prompt_that_is_computed_in_parts_gets_the_same_answer(
    vllm: VLLMProcess, scheduler: VLLMProcess, vocabulary: Vocabulary, seed: int
) -> None:
    chance = random.Random(seed)
    prompts = [[chance.randrange(300, 3000) for _ in range(900)] for _ in range(3)]
    questions = [Question(prompt, SamplingParams(seed=seed, presence_penalty=1.0), 40) for prompt in prompts]
    asyncio.run(same_in_both(vllm, scheduler, vocabulary, questions))


def test_a_preempted_answer_goes_on_with_the_same_text(
    vllm: VLLMProcess, scheduler: VLLMProcess, vocabulary: Vocabulary, tokenizer: Tokenizer, seed: int
) -> None:
    endless = bias_against_ending(vocabulary)
    questions = [
        replace(one, sampling=replace(one.sampling, logit_bias=endless))
        for one in random_questions(tokenizer, 6, 400, seed)
    ]
    before = read_metric(scheduler, "num_preemptions_total")
    asyncio.run(same_in_both(vllm, scheduler, vocabulary, questions))
    assert read_metric(scheduler, "num_preemptions_total") > before


def test_preempted_documents_are_completed_within_their_budgets(
    vllm: VLLMProcess, scheduler: VLLMProcess, vocabulary: Vocabulary, tokenizer: Tokenizer, seed: int
) -> None:
    prompt = tokenizer.encode_messages([Message("user", "Name words as JSON.")], {})
    # Without its budget, an answer would be longer.
    questions = [Question(prompt, SamplingParams(seed=seed + number, temperature=1.5), 380) for number in range(6)]
    before = read_metric(scheduler, "num_preemptions_total")
    answers = asyncio.run(
        same_in_both(vllm, scheduler, vocabulary, questions, constraint=SchemaSpec(json.dumps(WORDS)))
    )
    assert read_metric(scheduler, "num_preemptions_total") > before
    for tokens in answers:
        document = json.loads(b"".join(vocabulary.piece(token) for token in tokens if token != NO_TOKEN))
        jsonschema.validate(document, WORDS)


async def first_to_end(engine: TokenEngine, vllm: VLLMProcess, sampling: SamplingParams) -> set[str]:
    """Which of the requests that waited at the same time ended first. Empty if they never did, on a busy machine."""

    async def ask_for(max_tokens: int, tier: Tier) -> None:
        await ask(engine, Question([1, 300], sampling, max_tokens), tier=tier)

    async with AsyncExitStack() as resources:

        def send(name: str, max_tokens: int, tier: Tier = "standard") -> "asyncio.Task[None]":
            task = asyncio.create_task(ask_for(max_tokens, tier), name=name)
            resources.callback(task.cancel)
            return task

        running = [send("running", 300) for _ in range(PARALLEL)]

        async def are_seen(metric: str, count: int) -> bool:
            while await asyncio.to_thread(read_metric, vllm, metric) < count:
                if any(task.done() for task in running):
                    return False
            return True

        if not await are_seen("num_requests_running", PARALLEL):
            return set()
        waiting = [send("standard", 900) for _ in range(WAITING)] + [send("turbo", 20, "turbo")]
        if not await are_seen("num_requests_waiting", len(waiting)):
            return set()
        ended, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return {task.get_name() for task in ended}


def test_turbo_is_served_before_standard_requests_that_wait_longer(
    scheduler: VLLMProcess, vocabulary: Vocabulary
) -> None:
    sampling = SamplingParams(seed=1, logit_bias=bias_against_ending(vocabulary))

    async def scenario() -> None:
        async with vllm_engine(scheduler, vocabulary) as engine:
            for _ in range(ATTEMPTS):
                await wait_for_metric(scheduler, "num_requests_running", lambda count: count == 0)
                if ended := await first_to_end(engine, scheduler, sampling):
                    assert ended == {"turbo"}
                    return
        raise AssertionError(f"the requests did not wait at the same time in {ATTEMPTS} attempts")

    asyncio.run(scenario())


def test_the_two_schedulers_are_what_they_should_be(
    small_vllm: VLLMProcess, async_vllm: VLLMProcess, vocabulary: Vocabulary
) -> None:
    async def schedules_ahead(vllm: VLLMProcess) -> bool:
        async with vllm_engine(vllm, vocabulary) as engine:
            assert engine.hello
            return engine.hello.async_scheduling

    assert [asyncio.run(schedules_ahead(vllm)) for vllm in (small_vllm, async_vllm)] == [False, True]
