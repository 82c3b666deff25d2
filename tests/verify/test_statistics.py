"""Sequential tests keep their false-alarm rate at any time, and name the alternative that explains the draws."""

import itertools
import math
from random import Random

import pytest

from oruel.verify.statistics import OTHER, RatioTest, SequentialTest

FAIR = {"a": 0.5, "b": 0.3, "c": 0.2}
SKEWED = {"a": 0.7, "b": 0.2, "c": 0.1}


def draw(random: Random, distribution: dict[str, float], count: int) -> list[str]:
    return random.choices(list(distribution), list(distribution.values()), k=count)


def draw_until_decided(test: SequentialTest, random: Random, distribution: dict[str, float]) -> SequentialTest:
    while not test.is_decided and test.draws < 5000:
        test.observe(draw(random, distribution, 1)[0])
    return test


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_e_value_has_an_expectation_of_at_most_one_over_all_sequences(length: int) -> None:
    """Exact: every sequence of draws, weighted with its probability under the null."""
    expectation = 0.0
    for sequence in itertools.product(FAIR, repeat=length):
        test = SequentialTest(FAIR, {"skewed": SKEWED}, alpha=0.01)
        for token in sequence:
            test.observe(token)
        expectation += math.prod(FAIR[token] for token in sequence) * math.exp(test.log_e_value)
    assert expectation <= 1 + 1e-6


def test_a_right_endpoint_is_rejected_at_any_of_300_looks_no_more_often_than_alpha() -> None:
    seed = 1
    random, alpha, runs = Random(seed), 0.05, 2000
    rejected = 0
    for _ in range(runs):
        test = SequentialTest(FAIR, {"skewed": SKEWED, "flat": dict.fromkeys(FAIR, 1 / 3)}, alpha)
        for token in draw(random, FAIR, 300):
            test.observe(token)
            if test.is_rejected:
                rejected += 1
                break
    print(f"seed {seed}: {rejected} of {runs}")
    assert rejected <= alpha * runs


def test_an_endpoint_that_follows_an_alternative_is_accepted_no_more_often_than_beta() -> None:
    seed = 2
    random, beta, runs = Random(seed), 0.05, 2000
    tests = (SequentialTest(FAIR, {"skewed": SKEWED}, alpha=1e-5, beta=beta) for _ in range(runs))
    accepted = sum(draw_until_decided(test, random, SKEWED).is_accepted for test in tests)
    print(f"seed {seed}: {accepted} of {runs}")
    assert accepted <= beta * runs


def test_a_named_alternative_is_found_and_named() -> None:
    random = Random(3)
    test = draw_until_decided(SequentialTest(FAIR, {"skewed": SKEWED}, alpha=1e-5), random, SKEWED)
    assert (test.is_rejected, test.best_alternative) == (True, "skewed")


def test_an_unknown_distribution_is_found_and_not_named() -> None:
    random = Random(4)
    test = SequentialTest(FAIR, {"skewed": SKEWED}, alpha=1e-5)
    for token in draw(random, {"a": 0.05, "b": 0.05, "c": 0.9}, 60):
        test.observe(token)
    assert (test.is_rejected, test.best_alternative) == (True, None)


def test_one_token_that_cannot_be_drawn_rejects_the_null() -> None:
    test = SequentialTest({"a": 1.0}, {"ignored": FAIR}, alpha=1e-5)
    test.observe("c")
    assert (test.is_rejected, test.best_alternative) == (True, "ignored")


def test_tokens_outside_the_null_are_other_unless_an_alternative_lists_them() -> None:
    test = SequentialTest({"a": 0.9}, {"ignored": {"a": 0.5, "b": 0.4}}, alpha=1e-5)
    assert test.complete(test.null).keys() == {"a", "b", OTHER}


def test_a_conditional_test_sets_unlisted_tokens_aside() -> None:
    test = SequentialTest({"a": 0.2, "b": 0.2}, {"skewed": {"a": 0.3, "b": 0.1}}, alpha=1e-5, conditional=True)
    for token in ("a", "z", "b", "z"):
        test.observe(token)
    assert (test.set_aside, test.draws, test.counts.total()) == (2, 4, 2)
    assert test.complete(test.null) == {"a": 0.5, "b": 0.5}


def test_a_conditional_test_does_not_reject_whatever_the_unlisted_tokens_do() -> None:
    random = Random(5)
    test = SequentialTest({"a": 0.3, "b": 0.3}, {"skewed": {"a": 0.5, "b": 0.1}}, alpha=1e-5, conditional=True)
    draw_until_decided(test, random, {"a": 0.05, "b": 0.05, "z": 0.9})
    assert test.is_accepted


def test_a_null_probability_that_is_too_large_only_makes_the_test_more_careful() -> None:
    exact, careful = RatioTest(("other",), alpha=0.01), RatioTest(("other",), alpha=0.01)
    for _ in range(10):
        exact.observe(0.3, {"other": 0.9})
        careful.observe(0.4, {"other": 0.9})
    assert careful.log_e_value < exact.log_e_value


def test_probabilities_may_change_with_every_observation() -> None:
    """Exact: the second toss depends on the first, under both hypotheses."""
    expectation = 0.0
    null, other = {"h": 0.5, "hh": 0.2, "th": 0.9}, {"h": 0.8, "hh": 0.6, "th": 0.1}
    for first, second in itertools.product("ht", repeat=2):
        test, weight = RatioTest(("other",), alpha=0.01), 1.0
        for key, face in (("h", first), (f"{first}h", second)):
            p, q = (one[key] if face == "h" else 1 - one[key] for one in (null, other))
            test.observe(p, {"other": q})
            weight *= p
        expectation += weight * math.exp(test.log_e_value)
    assert expectation == pytest.approx(1)


def test_alternatives_that_nearly_tie_are_all_named() -> None:
    test = RatioTest(("one", "two", "three"), alpha=0.01)
    for _ in range(10):
        test.observe(0.1, {"one": 0.9, "two": 0.85, "three": 0.3})
    assert test.is_rejected
    assert test.explanations == ["one", "two"]


def test_more_draws_do_not_take_a_rejection_back() -> None:
    test = SequentialTest(FAIR, {"skewed": SKEWED}, alpha=0.01)
    for token in "a" * 20 + "b" * 14 + "c" * 9:
        test.observe(token)
    assert test.log_e_value < math.log(100) < -math.log(test.p_value)
    assert test.is_rejected


def test_draws_that_the_null_does_not_list_count_as_its_bound_allows() -> None:
    test = SequentialTest({"a": 0.6, "b": 0.399}, {"flat": {"a": 0.3, "b": 0.2}}, alpha=1e-5, most_unlisted=0.001)
    null, flat = test.distributions
    assert null == pytest.approx({"a": 0.6 / 0.999, "b": 0.399 / 0.999, OTHER: 0.001})
    assert flat[OTHER] == pytest.approx(0.5)
    for _ in range(3):
        test.observe("z")
    assert (test.is_rejected, test.set_aside) == (True, 0)
