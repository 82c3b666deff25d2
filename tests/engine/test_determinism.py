"""The same seed gives the same tokens and bit-identical log-probabilities at any load of the engine."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from oruel.engine.engine import Engine
from oruel.engine.protocol import StepOutput, Submit, TokenOutput
from oruel.engine.scheduler import StepLimits
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.types import SamplingParams, Tier
from tests.gguf_models import Shape, byte_level, write_model

pytestmark = pytest.mark.model

BUNDLED = Path(__file__).parents[2] / "src" / "oruel" / "models" / "oruel-demo.gguf"
SEED = 20261123
WINDOW = 1024
SLOTS = 6
OTHERS = 31
TARGET = 10**6
PROMPT_TOKENS = 530
MAX_TOKENS = 40

Answer = list[tuple[int, float | None]]


@pytest.fixture(scope="module", params=["random F16 weights", "the bundled model"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = BUNDLED
    if request.param != "the bundled model":
        shape = Shape("llama", width=128, layers=3, heads=4, key_value_heads=2, head_width=32, hidden=256)
        path = write_model(tmp_path_factory.mktemp("model") / "f16.gguf", shape, byte_level(), half=True, seed=5)
    with Model(path) as opened:
        yield opened


@pytest.fixture
def engine(model: Model) -> Iterator[Engine]:
    with Context(model, window=WINDOW, sequences=SLOTS, batch=480, threads=1) as context:
        yield Engine(context, StepLimits(SLOTS - 1), vocabulary_size=model.vocabulary.size, is_end=lambda token: False)


def prompt(chance: random.Random, length: int) -> list[int]:
    return [chance.randrange(300) for _ in range(length)]


def target(number: int = TARGET) -> Submit:
    """The same request with another sequence number."""
    sampling = SamplingParams(temperature=0.9, seed=42, top_p=0.95, frequency_penalty=0.3, logprobs=0)
    return Submit(
        number, prompt(random.Random(SEED), PROMPT_TOKENS), choice=0, max_tokens=MAX_TOKENS, sampling=sampling
    )


def answers_in(output: StepOutput, number: int) -> Answer:
    return [(token.token, token.logprob) for token in output.tokens if token.sequence == number]


def run_alone(engine: Engine) -> Answer:
    engine.submit(target(), 0)
    answer: Answer = []
    while engine.has_work:
        answer += answers_in(engine.step(), TARGET)
    return answer


def random_other(chance: random.Random, number: int) -> Submit:
    """A short or long request of either tier, reproducible or not, that may share a prefix with the target."""
    shared = prompt(random.Random(SEED), PROMPT_TOKENS)[: chance.choice([0, 0, 3, 100, 400, 530])]
    tokens = shared + prompt(chance, chance.randrange(1, 300))
    tier: Tier = "turbo" if chance.random() < 0.3 else "standard"
    sampling = SamplingParams(seed=number, reproducible=chance.random() < 0.5)
    return Submit(number, tokens, choice=0, max_tokens=chance.randrange(1, 60), sampling=sampling, tier=tier)


def run_among_others(engine: Engine, chance: random.Random, starts: int) -> tuple[list[Answer], StepOutput]:
    """Runs the target `starts` times in sequence, among others that arrive and are cancelled at random."""
    answers: list[Answer] = [[] for _ in range(starts)]
    arrived = 0
    alive: list[int] = []
    begun = 0
    clock = 0.0
    finished = starts
    output = engine.step() if engine.has_work else None
    while finished:
        clock += 0.1
        while arrived < OTHERS * starts and len(alive) < OTHERS and chance.random() < 0.6:
            engine.submit(random_other(chance, arrived), clock)
            alive.append(arrived)
            arrived += 1
        if begun < starts and finished == starts - begun and chance.random() < 0.2:
            engine.submit(target(TARGET + begun), clock)
            begun += 1
        if alive and chance.random() < 0.05:
            engine.cancel(alive.pop(chance.randrange(len(alive))))
        if not engine.has_work:
            continue
        output = engine.step()
        for token in output.tokens:
            finished -= ends_target(token)
            if token.finish and token.sequence in alive:
                alive.remove(token.sequence)
        for number in range(begun):
            answers[number] += answers_in(output, TARGET + number)
    assert output is not None
    return answers, output


def ends_target(token: TokenOutput) -> bool:
    return token.sequence >= TARGET and token.finish is not None


def test_a_seeded_request_is_the_same_alone_and_among_31_others(engine: Engine) -> None:
    print(f"seed {SEED}")
    first = run_alone(engine)
    assert len(first) == MAX_TOKENS
    answers, last = run_among_others(engine, random.Random(SEED), starts=3)
    assert last.load.preemptions > 0, "the test covers preemption"
    assert last.load.cached > 1000, "the test covers the prefix cache"
    assert answers == [first] * 3
    assert run_alone(engine) == first, "and again on an idle engine"


def test_preemption_does_not_change_a_seeded_request(engine: Engine) -> None:
    first = run_alone(engine)
    engine.submit(target(), 100)
    answer: Answer = []
    number = 0
    disturbances = [5, 20]
    while len(answer) < MAX_TOKENS:
        output = engine.step()
        answer += answers_in(output, TARGET)
        if disturbances and len(answer) == disturbances[0]:
            del disturbances[0]
            # Turbo requests take every slot, and enough others follow to overwrite every cell.
            for _ in range(2 * SLOTS):
                chance = random.Random(number)
                engine.submit(
                    Submit(
                        number,
                        prompt(chance, 200),
                        choice=0,
                        max_tokens=3,
                        sampling=SamplingParams(seed=number),
                        tier="turbo",
                    ),
                    101 + number / 100,
                )
                number += 1
    assert output.load.preemptions >= 2
    assert answer == first


def test_cells_of_an_unseeded_request_do_not_affect_a_seeded_one(engine: Engine) -> None:
    first = run_alone(engine)
    free = SamplingParams(seed=1, reproducible=False)
    # Its prompt is computed in long chunks and its answer row by row; both stay in the prefix cache.
    engine.submit(Submit(1, [9, *target().prompt], choice=0, max_tokens=60, sampling=free), 0)
    prompt_and_answer = list(target().prompt)
    engine.submit(Submit(2, prompt_and_answer, choice=0, max_tokens=60, sampling=free), 0)
    while engine.has_work:
        engine.step()
    assert run_alone(engine) == first


def test_a_cached_request_is_the_same_as_a_cold_one(engine: Engine) -> None:
    first = run_alone(engine)
    engine.submit(target(), 0)
    output = engine.step()
    assert [begun.cached for begun in output.started] == [PROMPT_TOKENS - 1]
    answer = answers_in(output, TARGET)
    while engine.has_work:
        answer += answers_in(engine.step(), TARGET)
    assert answer == first
