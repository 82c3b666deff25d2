"""vLLM's prefix cache, as Oru'el uses it."""

import asyncio
import random
import uuid

from oruel.types import SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.vllm.asking import Question, Reply, ask, read_metric, tokens_of, vllm_engine
from tests.vllm.vllm_process import VLLMProcess

# vLLM caches whole blocks.
BLOCK = 128
PROMPT_TOKENS = 1000
WHOLE_BLOCKS = PROMPT_TOKENS // BLOCK * BLOCK


def long_question(seed: int) -> Question:
    chance = random.Random(seed)
    return Question([chance.randrange(300, 3000) for _ in range(PROMPT_TOKENS)], SamplingParams(seed=seed), 8)


def replies(vllm: VLLMProcess, vocabulary: Vocabulary, seed: int, *salts: str) -> list[Reply]:
    """The same question again and again."""

    async def scenario() -> list[Reply]:
        async with vllm_engine(vllm, vocabulary) as engine:
            return [await ask(engine, long_question(seed), cache_salt=salt) for salt in salts]

    return asyncio.run(scenario())


def test_a_repeated_prompt_comes_from_the_cache_and_gets_the_same_answer(
    vllm: VLLMProcess, vocabulary: Vocabulary, seed: int
) -> None:
    first, second = replies(vllm, vocabulary, seed, "", "")
    assert (first.cached, second.cached) == (0, WHOLE_BLOCKS)
    assert tokens_of(first.choices[0]) == tokens_of(second.choices[0])


def test_accounts_with_other_salts_do_not_share_their_prefixes(
    vllm: VLLMProcess, vocabulary: Vocabulary, seed: int
) -> None:
    one, other = uuid.uuid4().hex, uuid.uuid4().hex
    assert [reply.cached for reply in replies(vllm, vocabulary, seed, one, other, one)] == [0, 0, WHOLE_BLOCKS]


def test_the_choices_of_a_request_share_its_prompt_and_differ(
    vllm: VLLMProcess, vocabulary: Vocabulary, seed: int
) -> None:
    async def scenario() -> None:
        async with vllm_engine(vllm, vocabulary) as engine:
            before = read_metric(vllm, "prefix_cache_hits_total")
            reply = await ask(engine, long_question(seed), choices=4)
            assert read_metric(vllm, "prefix_cache_hits_total") - before == 3 * WHOLE_BLOCKS
            assert reply.cached == 0
            assert len({tuple(tokens_of(outputs)) for outputs in reply.choices}) == 4

    asyncio.run(scenario())
