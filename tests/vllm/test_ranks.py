"""A model spread over two processes, each of which samples."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from oruel.constraints.spec import JsonObjectSpec
from oruel.engine.protocol import NO_TOKEN
from oruel.hugging_face.folder import ModelFolder
from oruel.text.tokenizer import Tokenizer
from tests.vllm.asking import ask_together, vllm_engine
from tests.vllm.questions import random_questions
from tests.vllm.vllm_process import VLLMProcess, vllm_serve

RANKS = 2
# The ranks add in another order than one process does.
LEAST_SHARE = 0.9


@pytest.fixture(scope="module")
def ranked_vllm(environment: Path, random_model: Path, logs: Path) -> Iterator[VLLMProcess]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < RANKS:
        pytest.skip("needs a core for each rank")
    variables = {"VLLM_CPU_OMP_THREADS_BIND": "|".join(map(str, cores[:RANKS]))}
    flags = [f"--tensor-parallel-size={RANKS}"]
    with vllm_serve(environment, random_model, logs / "ranks.log", flags, variables=variables) as running:
        yield running


def test_two_ranks_choose_the_same_tokens_as_one(
    random_vllm: VLLMProcess, ranked_vllm: VLLMProcess, random_model: Path, seed: int
) -> None:
    async def scenario() -> None:
        folder = ModelFolder(random_model)
        vocabulary, tokenizer = folder.vocabulary, Tokenizer(folder.vocabulary, folder.chat_template)
        questions = random_questions(tokenizer, 40, 60, seed)
        async with vllm_engine(random_vllm, vocabulary) as one, vllm_engine(ranked_vllm, vocabulary) as two:
            assert two.hello
            assert two.hello.ranks == RANKS
            alone, spread = await ask_together(one, questions, 8), await ask_together(two, questions, 8)
            same = sum(a == b for a, b in zip(alone, spread, strict=True))
            print(f"{same} of {len(questions)} texts are the same, {sum(map(len, spread))} tokens")
            assert same >= LEAST_SHARE * len(questions)
            for tokens in await ask_together(two, questions[:8], 8, constraint=JsonObjectSpec()):
                text = b"".join(vocabulary.piece(token) for token in tokens if token != NO_TOKEN)
                assert isinstance(json.loads(text), dict)

    asyncio.run(scenario())
