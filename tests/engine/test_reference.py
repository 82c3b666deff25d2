"""The whole engine compared with the slow reference in plain Python, on the same logits."""

import asyncio
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from oruel.engine.client import EngineClient
from oruel.engine.protocol import Start, TokenOutput
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.types import SamplingParams
from tests.gguf_models import llama_model
from tests.sampling.reference import decide

pytestmark = pytest.mark.model

SEED = 20261123
PROMPT = [72, 101, 108, 108, 111, 32, 119]
DRAWS = 4000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"), half=False)


def random_params(chance: random.Random) -> SamplingParams:
    return SamplingParams(
        temperature=chance.choice([0.0, 0.3, 0.7, 1.0, 1.7, 2.0]),
        top_p=chance.choice([1.0, 1.0, 0.9, 0.5]),
        top_k=chance.choice([0, 0, 1, 5, 40, 200]),
        min_p=chance.choice([0.0, 0.0, 0.05, 0.2]),
        seed=chance.randrange(-(2**63), 2**63),
        frequency_penalty=chance.choice([0.0, 0.5, -1.0, 2.0]),
        presence_penalty=chance.choice([0.0, 0.8, -0.5]),
        repetition_penalty=chance.choice([1.0, 1.15, 0.5, 3.0]),
        logit_bias=chance.choice([{}, {65: 5.0, 66: -100.0}]),
    )


async def generate(model: Path, settings: list[SamplingParams], choices: int, max_tokens: int) -> list[list[list[int]]]:
    """For each setting, the tokens of each choice, through a worker process that runs one request at a time."""
    client = EngineClient(Start(model=str(model), threads=1, parallel=1, context=512))
    answers: list[list[list[int]]] = []
    try:
        await client.start()
        for sampling in settings:
            outputs: list[list[TokenOutput]] = [[] for _ in range(choices)]
            with client.generate(PROMPT, sampling, choices=choices, max_tokens=max_tokens) as generation:
                while any(not tokens or tokens[-1].finish is None for tokens in outputs):
                    for choice, output in await generation.outputs():
                        outputs[choice].append(output)
            answers.append([[output.token for output in tokens] for tokens in outputs])
    finally:
        await client.close()
    return answers


def test_every_token_of_the_engine_matches_the_reference(model: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    settings = [random_params(chance) for _ in range(40)]
    answers = asyncio.run(generate(model, settings, choices=2, max_tokens=12))
    compared = 0
    with Model(model) as opened, Context(opened, window=512, sequences=1, batch=512, threads=1) as context:
        for sampling, choices in zip(settings, answers, strict=True):
            for choice, tokens in enumerate(choices):
                row = context.decode(PROMPT, range(len(PROMPT)), [0] * len(PROMPT), last_only(len(PROMPT)))[0]
                for position, token in enumerate(tokens):
                    decision = decide(row.tolist(), sampling, choice, tokens[:position])
                    if decision.firm:
                        compared += 1
                        assert token in decision.acceptable, (sampling, choice, position)
                    row = context.decode([token], [len(PROMPT) + position], [0], [True])[0]
                context.forget(0)
    assert compared > 700, "nearly all decisions are firm"


def test_draw_frequencies_follow_the_probabilities_of_the_model(model: Path) -> None:
    """Pearson's chi-square against softmax(logits / T) over the top 20, at a false-alarm rate under 1e-6."""
    temperature, top_k = 1.5, 20
    with Model(model) as opened, Context(opened, window=512, sequences=1, batch=512, threads=1) as context:
        row = context.decode(PROMPT, range(len(PROMPT)), [0] * len(PROMPT), last_only(len(PROMPT)))[0]
        logits = row.astype(np.float64)
    kept = np.argsort(-logits, kind="stable")[:top_k]
    weights = np.exp((logits[kept] - logits[kept[0]]) / temperature)
    expected = dict(zip(kept.tolist(), (weights / weights.sum() * DRAWS).tolist(), strict=True))
    assert min(expected.values()) > 5, "every cell is large enough for the test"
    settings = [
        SamplingParams(temperature=temperature, top_k=top_k, seed=SEED + number) for number in range(DRAWS // 8)
    ]
    answers = asyncio.run(generate(model, settings, choices=8, max_tokens=1))
    drawn = Counter(tokens[0] for choices in answers for tokens in choices)
    assert set(drawn) <= set(expected)
    statistic = sum((drawn[token] - count) ** 2 / count for token, count in expected.items())
    assert statistic < chi_square_bound(top_k - 1), statistic


def chi_square_bound(freedom: int) -> float:
    """Exceeded with a probability under 1e-6: Laurent and Massart (2000), lemma 1."""
    surprise = -math.log(1e-6)
    return freedom + 2 * math.sqrt(freedom * surprise) + 2 * surprise


def last_only(count: int) -> list[bool]:
    return [False] * (count - 1) + [True]
