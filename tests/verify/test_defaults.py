"""Hidden defaults: neighbouring temperatures are told apart. The search for a hidden top_k keeps its false-alarm rate,
and its bound for new tokens holds.
"""

import math
from random import Random

import pytest

from oruel.verify.checks.default_temperature import TemperatureTest, judge
from oruel.verify.checks.defaults import ALL_KNOWN, FLAT, STARTS, Survivors, judge_survivors
from oruel.verify.expected import at_temperature
from oruel.verify.profile import OPENAI
from oruel.verify.reply import TokenInfo
from oruel.verify.statistics import RatioTest
from oruel.verify.verdict import Outcome
from tests.verify.asking import verdict_of
from tests.verify.faults_sampling import HiddenDefault

SIZE, LISTED = 120, 20


def model(random: Random) -> dict[str, float]:
    weights = sorted((math.exp(random.gauss(0, 2)) for _ in range(SIZE)), reverse=True)
    total = sum(weights)
    return {f"t{rank}": weight / total for rank, weight in enumerate(weights)}


def survivors_of(truth: dict[str, float], alpha: float) -> Survivors:
    listed = dict(list(truth.items())[:LISTED])
    return Survivors(listed, RatioTest((ALL_KNOWN, *STARTS), alpha))


def draw(random: Random, truth: dict[str, float], count: int, kept: int = SIZE) -> list[TokenInfo]:
    """Draws at temperature 2 among the `kept` most probable tokens."""
    flat = at_temperature(dict(list(truth.items())[:kept]), FLAT)
    texts = random.choices(list(flat), list(flat.values()), k=count)
    return [TokenInfo(text, math.log(truth[text])) for text in texts]


def test_new_tokens_are_at_least_as_probable_as_the_bound_says() -> None:
    seed = 1
    print(f"seed {seed}")
    random = Random(seed)
    for _ in range(50):
        truth = model(random)
        survivors = survivors_of(truth, alpha=0.01)
        flat = at_temperature(truth, FLAT)
        for token in draw(random, truth, 60):
            new = sum(p for text, p in flat.items() if text not in survivors.known)
            assert survivors.least_new <= new + 1e-9
            survivors.observe(token)


def test_an_endpoint_without_a_hidden_top_k_is_rarely_rejected() -> None:
    seed, alpha, runs = 2, 0.05, 300
    random = Random(seed)
    rejected = 0
    for _ in range(runs):
        truth = model(random)
        survivors = survivors_of(truth, alpha)
        for token in draw(random, truth, 150):
            survivors.observe(token)
            if survivors.test.is_rejected:
                rejected += 1
                break
    print(f"seed {seed}: {rejected} of {runs}")
    assert rejected <= alpha * runs


def test_a_hidden_top_k_is_found() -> None:
    random = Random(3)
    truth = model(random)
    survivors = survivors_of(truth, alpha=1e-5)
    for token in draw(random, truth, 900, kept=40):
        survivors.observe(token)
    assert survivors.test.is_rejected
    assert survivors.are_flat
    assert len(survivors.drawn) == 40


def test_draws_at_another_temperature_are_not_taken_for_a_hidden_top_k() -> None:
    random = Random(4)
    truth = model(random)
    survivors = survivors_of(truth, alpha=1e-5)
    texts = random.choices(list(truth), list(truth.values()), k=300)
    for text in texts:
        survivors.observe(TokenInfo(text, math.log(truth[text])))
    assert not survivors.are_flat


def test_draws_that_never_give_a_listed_token_decide_nothing_about_a_hidden_top_k() -> None:
    survivors = survivors_of(model(Random(5)), alpha=1e-5)
    while not survivors.is_over:
        survivors.observe(TokenInfo("an unlisted one", -30.0))
    verdict = judge_survivors("prompt", survivors)
    assert verdict.outcome is Outcome.CANT_TELL
    assert verdict.how == "none of the tokens that are listed as the most probable ones comes"


@pytest.mark.anyio
@pytest.mark.parametrize("temperature", [0.6, 0.7, 0.8])
async def test_the_usual_temperatures_of_servers_are_told_apart(temperature: float) -> None:
    server = type("Server", (HiddenDefault,), {"default": ("temperature", temperature)})
    verdict = await verdict_of("defaults.temperature", server(1), OPENAI)
    assert f"{verdict.outcome}: {verdict.how}" == f"differs: temperature {temperature:g} acts"


def test_temperatures_that_the_answers_do_not_tell_apart_are_named_as_an_interval() -> None:
    test = TemperatureTest(1.0, alpha=1e-5)
    top = (("a", math.log(0.6)), ("b", math.log(0.3)), ("c", math.log(0.01)))
    for _ in range(60):
        test.observe("prompt", [TokenInfo("a", top[0][1], top=top)])
    assert len(test.explanations) > 1
    verdict = judge(test)
    assert verdict.how == f"a temperature between {test.explanations[0]:g} and {test.explanations[-1]:g} acts"
