"""The search for a hidden top_k keeps its false-alarm rate, and its bound for new tokens holds."""

import math
from random import Random

from oruel.verify.checks.defaults import ALL_KNOWN, FLAT, STARTS, Survivors
from oruel.verify.expected import at_temperature
from oruel.verify.reply import TokenInfo
from oruel.verify.statistics import RatioTest

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
