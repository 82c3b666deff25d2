"""A seeded request has the text that the embedded engine gives it, whatever else vLLM computes."""

import asyncio

from oruel.cli.model_source import bundled_model
from oruel.engine.token_engine import TokenEngine
from oruel.text.tokenizer import Tokenizer
from oruel.types import SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.vllm.asking import Question, ask, ask_together, embedded_engine, tokens_for, vllm_engine
from tests.vllm.questions import random_questions
from tests.vllm.vllm_process import VLLMProcess

REQUESTS, MAX_TOKENS, AT_ONCE = 200, 100, 32
LEAST_SHARE = 0.95
# The embedded engine keeps weights and activations in fewer bits than vLLM's F32: log-probabilities differ by less.
ROUNDING = 0.2


async def logprob_of(engine: TokenEngine, prompt: list[int], token: int) -> float:
    """What the model itself says of the token, to which a bias leads here."""
    sampling = SamplingParams(temperature=0, logit_bias={token: 100.0}, logprobs=0)
    ((output,),) = (await ask(engine, Question(prompt, sampling, 1))).choices
    assert output.token == token
    assert output.logprob is not None
    return output.logprob


async def explain(
    engine: TokenEngine, embedded: TokenEngine, question: Question, ours: list[int], theirs: list[int]
) -> None:
    """Prints the log-probabilities of the two tokens at the first difference, which the engines agree on."""
    place = first_difference(ours, theirs)
    print(f"vLLM chose {ours[place]} at token {place}, the embedded engine {theirs[place]}, {question.sampling}")
    prompt = question.prompt + ours[:place]
    for token in (ours[place], theirs[place]):
        one, other = await logprob_of(engine, prompt, token), await logprob_of(embedded, prompt, token)
        print(f"  log-probability of {token}: {one:.4f} in vLLM, {other:.4f} in the embedded engine")
        assert abs(one - other) < ROUNDING


def first_difference(one: list[int], other: list[int]) -> int:
    """Of two different answers, of which neither begins with the other."""
    return next(place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


def test_200_seeded_requests_have_the_text_of_the_embedded_engine_but_for_rounding(
    vllm: VLLMProcess, vocabulary: Vocabulary, tokenizer: Tokenizer, seed: int
) -> None:
    async def scenario() -> None:
        questions = random_questions(tokenizer, REQUESTS, MAX_TOKENS, seed)
        async with vllm_engine(vllm, vocabulary) as engine, embedded_engine(bundled_model()) as embedded:
            ours = await ask_together(engine, questions, AT_ONCE)
            theirs = await ask_together(embedded, questions, AT_ONCE)
            same = sum(one == other for one, other in zip(ours, theirs, strict=True))
            print(f"{same} of {REQUESTS} texts are the same, {sum(map(len, ours))} tokens")
            for question, one, other in zip(questions, ours, theirs, strict=True):
                if one != other:
                    await explain(engine, embedded, question, one, other)
            assert same >= LEAST_SHARE * REQUESTS

    asyncio.run(scenario())


def test_a_request_has_the_same_text_alone_and_among_31_others_but_for_rounding(
    vllm: VLLMProcess, vocabulary: Vocabulary, tokenizer: Tokenizer, seed: int
) -> None:
    async def scenario() -> None:
        targets = random_questions(tokenizer, 8, MAX_TOKENS, seed + 1)
        others = random_questions(tokenizer, 31, MAX_TOKENS, seed + 2)
        async with vllm_engine(vllm, vocabulary) as engine:
            same = 0
            for target in targets:
                alone = await tokens_for(engine, target)
                *_, among = await ask_together(engine, [*others, target], 32)
                same += alone == among
            print(f"{same} of {len(targets)} texts are the same alone and among {len(others)} others")
            # On a CPU, vLLM's sums depend on the size of the batch.
            assert same >= len(targets) - 1

    asyncio.run(scenario())
