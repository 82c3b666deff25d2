"""What each setting of the filter checks promises is what the reference sampler does with its fields, and the cases
that are chosen leave room for rounding.
"""

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from oruel.types import SamplingParams
from oruel.verify.checks.filters import (
    min_p_beside_top_p,
    min_p_setting,
    temperature_before_min_p,
    temperature_before_top_p,
    temperature_before_top_p_alone,
    top_k_setting,
    top_p_after_top_k,
    top_p_setting,
)
from oruel.verify.checks.temperature import setting as temperature_setting
from oruel.verify.expected import keep
from oruel.verify.first_tokens import Case, Setting, disturbed
from tests.sampling import reference

SIZE, LISTED = 30, 20
Maker = Callable[[Random], Setting]

MAKERS: dict[str, Maker] = {
    "top_k": lambda random: top_k_setting(random.randint(2, 8)),
    "top_p": lambda random: top_p_setting(random.uniform(0.1, 0.7)),
    "min_p": lambda random: min_p_setting(random.uniform(0.1, 0.9)),
    "top_p.after_top_k": lambda random: top_p_after_top_k(random.randint(3, 8), random.uniform(0.1, 0.9)),
    "min_p.beside_top_p": lambda random: min_p_beside_top_p(random.uniform(0.1, 0.9), random.uniform(0.1, 0.7)),
    "temperature.before_top_p": lambda random: temperature_before_top_p(
        random.choice([0.5, 1.5, 2]), random.uniform(0.1, 0.9), random.randint(4, 20)
    ),
    "temperature.before_min_p": lambda random: temperature_before_min_p(
        random.choice([0.5, 1.5, 2]), random.uniform(0.1, 0.9), random.randint(4, 20)
    ),
    "temperature.before_top_p_alone": lambda random: temperature_before_top_p_alone(0.5, random.uniform(0.1, 0.7)),
    "temperature": lambda random: temperature_setting(random.choice([0.5, 2]), 1),
}


def logits_of(random: Random) -> list[float]:
    return [random.gauss(0, 3) for _ in range(SIZE)]


def listed(row: list[float]) -> dict[str, float]:
    peak = max(row)
    total = math.fsum(math.exp(logit - peak) for logit in row)
    best = sorted(range(SIZE), key=lambda token: -row[token])[:LISTED]
    return {str(token): math.exp(row[token] - peak) / total for token in best}


def promised(row: list[float], fields: Any) -> dict[str, float]:
    params = SamplingParams(**{"temperature": 1.0, "seed": 0, **fields})
    return {str(token): p for token, p in reference.decide(row, params, 0, ()).probability.items()}


def usable_case(random: Random, make: Maker) -> tuple[list[float], Case]:
    """Logits, and a case on them that a check might use."""
    while True:
        row = logits_of(random)
        case = Case("", make(random), listed(row))
        if case.is_known and case.is_firm:
            return row, case


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("name", MAKERS)
def test_a_setting_promises_what_the_reference_does(name: str, seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    row, case = usable_case(random, MAKERS[name])
    null, truth = dict(case.setting.null(case.base)), promised(row, case.setting.fields)
    if case.setting.conditional:
        truth = keep(truth, [token for token in null if token in truth])
        null = keep(null, list(null))
    assert null == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("name", MAKERS)
def test_a_draw_from_the_promised_distribution_is_never_impossible(name: str) -> None:
    """A firm setting keeps the same tokens if the endpoint's probabilities are a little different."""
    random = Random(1)
    firm = 0
    for _ in range(40):
        case = Case("", MAKERS[name](random), listed(logits_of(random)))
        if case.is_firm:
            firm += 1
            survivors = set(case.setting.null(case.base))
            assert all(set(case.setting.null(other)) == survivors for other in disturbed(case.base))
    assert firm


def test_a_threshold_on_the_edge_of_a_token_is_not_firm() -> None:
    base = {"a": 0.5, "b": 0.25, "c": 0.25}
    assert not Case("", min_p_setting(0.5), base).is_firm
    assert not Case("", top_p_setting(0.5), base).is_firm
    assert Case("", min_p_setting(0.2), base).is_firm


def test_a_setting_that_changes_nothing_is_worth_nothing() -> None:
    assert Case("", top_p_setting(0.8), {"a": 0.6, "b": 0.4}).worth == 0


def test_mistakes_that_look_alike_make_a_case_less_worth() -> None:
    base = {"a": 0.6, "b": 0.4}
    clear = Setting({}, lambda base: keep(base, ["a"]), {"one": lambda base: base})
    alike = Setting({}, clear.null, {**clear.mistakes, "other": lambda base: base})
    assert 0 < Case("", alike, base).worth < Case("", clear, base).worth / 4


def test_a_bound_of_unlisted_tokens_is_used_below_temperature_1_where_it_is_small() -> None:
    steep, flat = {"a": 0.9, "b": 0.0999}, {"a": 0.3, "b": 0.3, "c": 0.3}
    assert Case("", temperature_setting(0.5), steep).most_unlisted == pytest.approx(0, abs=1e-4)
    assert Case("", temperature_setting(0.5), flat).most_unlisted is None
    assert Case("", temperature_setting(2), steep).most_unlisted is None
