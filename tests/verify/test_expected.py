"""The distributions that checks expect are those of the reference sampler, wherever the listed tokens tell."""

import math
from random import Random
from typing import Any

import pytest

from oruel.types import SamplingParams
from oruel.verify.expected import at_least, at_temperature, intersection, keep, min_p, ranked, top_k, top_p
from tests.sampling import reference

SIZE, LISTED = 40, 20


def logits_of(random: Random) -> list[float]:
    return [random.gauss(0, 3) for _ in range(SIZE)]


def listed(row: list[float], count: int = LISTED) -> dict[str, float]:
    """What an endpoint reports: the most probable tokens, here named by their ids."""
    peak = max(row)
    total = math.fsum(math.exp(logit - peak) for logit in row)
    best = sorted(range(SIZE), key=lambda token: -row[token])[:count]
    return {str(token): math.exp(row[token] - peak) / total for token in best}


def promised(row: list[float], **fields: Any) -> dict[str, float]:
    params = SamplingParams(**{"temperature": 1.0, "seed": 0, **fields})
    return {str(token): p for token, p in reference.decide(row, params, 0, ()).probability.items()}


@pytest.mark.parametrize("seed", range(20))
def test_filters_equal_the_reference(seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    row, k, share, ratio = logits_of(random), random.randint(2, 20), random.uniform(0.1, 0.7), random.uniform(0.1, 0.9)
    base = listed(row)
    assert top_k(base, k) == pytest.approx(promised(row, top_k=k))
    assert top_p(base, share) == pytest.approx(promised(row, top_p=share))
    assert min_p(base, ratio) == pytest.approx(promised(row, min_p=ratio))
    assert top_p(top_k(base, k), share) == pytest.approx(promised(row, top_k=k, top_p=share))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("temperature", [0.5, 1.5, 2.0])
def test_temperature_acts_before_the_filters_as_in_the_reference(seed: int, temperature: float) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    row, k, share, ratio = logits_of(random), random.randint(2, 20), random.uniform(0.1, 0.9), random.uniform(0.1, 0.9)
    tempered = at_temperature(top_k(listed(row), k), temperature)
    fields = {"temperature": temperature, "top_k": k}
    assert tempered == pytest.approx(promised(row, **fields))
    assert top_p(tempered, share) == pytest.approx(promised(row, **fields, top_p=share))
    assert min_p(tempered, ratio) == pytest.approx(promised(row, **fields, min_p=ratio))


@pytest.mark.parametrize("seed", range(20))
def test_top_p_and_min_p_are_intersected_as_in_the_reference(seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    row, share, ratio = logits_of(random), random.uniform(0.1, 0.9), random.uniform(0.1, 0.9)
    both = intersection(listed(row), lambda base: top_p(base, share), lambda base: min_p(base, ratio))
    assert both == pytest.approx(promised(row, top_p=share, min_p=ratio))


def test_all_tokens_at_a_temperature_equal_the_reference() -> None:
    row = logits_of(Random(0))
    assert at_temperature(listed(row, SIZE), 1.7) == pytest.approx(promised(row, temperature=1.7))


def test_ratios_of_listed_tokens_are_right_at_every_temperature() -> None:
    row = logits_of(Random(0))
    base, truth = at_temperature(listed(row), 2), promised(row, temperature=2)
    tokens = list(base)
    assert keep(base, tokens) == pytest.approx(keep(truth, tokens))


BASE = {"a": 0.4, "b": 0.3, "c": 0.1}


@pytest.mark.parametrize(
    "unknown",
    [top_k(BASE, 4), top_p(BASE, 0.9), min_p(BASE, 0.1), at_least(BASE, 0.05)],
    ids=["top_k", "top_p", "min_p", "at_least"],
)
def test_a_filter_that_reaches_beyond_the_listed_tokens_changes_nothing(unknown: dict[str, float]) -> None:
    assert unknown == BASE


def test_a_nucleus_may_be_off_by_one_but_never_empty() -> None:
    assert ranked(top_p(BASE, 0.5, more=-1)) == ["a"]
    assert ranked(top_p(BASE, 0.5, more=1)) == ["a", "b", "c"]
    assert ranked(top_p(BASE, 0.1, more=-1)) == ["a"]


def test_an_absolute_threshold_spares_the_most_probable_token() -> None:
    assert at_least(BASE, 0.5) == {"a": 1.0}
    assert ranked(at_least(BASE, 0.2)) == ["a", "b"]
