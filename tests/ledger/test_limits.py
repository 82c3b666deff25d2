"""Limits per minute, spending limits and balances, without a store."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.errors import AuthenticationError, InsufficientFunds, RateLimited, SpendingLimitReached
from oruel.ledger.entries import Opening
from oruel.ledger.limits import MINUTE, AccountState, Bucket, KeyState, decide

NOW = int(datetime(2026, 11, 28, 22, 30, tzinfo=UTC).timestamp()) * 10**9
USD = 10**12


def opening(price: int = 0, tokens: int = 100) -> Opening:
    return Opening("chatcmpl-1", "req-1", "account", "key", "model", "standard", NOW // 1000, price, tokens)


class LeakyBucket:
    """The slow reference: a level that leaks continuously, in exact fractions."""

    def __init__(self, limit: int) -> None:
        self.limit, self.level, self.at = limit, Fraction(0), 0

    def take(self, amount: int, now: int) -> bool:
        leaked = Fraction((now - self.at) * self.limit, MINUTE)
        self.level, self.at = max(Fraction(0), self.level - leaked), now
        if self.level + amount > self.limit:
            return False
        self.level += amount
        return True


@given(
    limit=st.integers(1, 10**9),
    steps=st.lists(st.tuples(st.integers(0, 2 * MINUTE), st.fractions(0, 1)), max_size=50),
)
def test_a_limit_per_minute_behaves_like_a_leaky_bucket(limit: int, steps: list[tuple[int, Fraction]]) -> None:
    reference, bucket, now = LeakyBucket(limit), Bucket(limit), 0
    for gap, share in steps:
        now += gap
        amount = max(1, int(limit * share))
        fits = bucket.wait(amount, now) == 0
        before = reference.level
        if fits != reference.take(amount, now):
            # Whole nanoseconds: the two may differ where the level is within a rounding error of the limit.
            leaked = max(Fraction(0), before - Fraction(gap * limit, MINUTE))
            slack = (len(steps) + 1) * Fraction(limit, MINUTE) + Fraction(1, 10**6)
            assert abs(leaked + amount - limit) <= slack
            return
        if fits:
            bucket = bucket.take(amount, now)


@given(limit=st.integers(1, 10**6), amounts=st.lists(st.integers(1, 1000), min_size=1, max_size=100))
def test_at_most_the_limit_passes_at_one_moment(limit: int, amounts: list[int]) -> None:
    bucket, passed = Bucket(limit), 0
    for amount in amounts:
        if amount <= limit and bucket.wait(amount, NOW) == 0:
            bucket, passed = bucket.take(amount, NOW), passed + amount
    assert passed <= limit + len(amounts) * limit // MINUTE


def test_waiting_as_long_as_told_is_enough() -> None:
    bucket = Bucket(60).take(60, NOW)
    wait = bucket.wait(1, NOW)
    assert wait == 10**9
    assert bucket.wait(1, NOW + wait - 1) > 0
    assert bucket.wait(1, NOW + wait) == 0


def test_a_clock_that_is_set_back_blocks_nobody_for_longer_than_a_minute() -> None:
    key = KeyState(requests=Bucket(1), tokens=Bucket(100))
    earlier = NOW - 60 * MINUTE
    moments = (NOW, earlier, earlier + MINUTE // 2, earlier + MINUTE)
    outcomes = [decide(opening(), key, AccountState(), now).refusal is None for now in moments]
    assert outcomes == [True, False, False, True]


def test_unused_tokens_are_given_back() -> None:
    bucket = Bucket(1000).take(900, NOW).give_back(850)
    assert bucket.allowance(NOW).remaining == 950


def test_the_allowance_counts_the_request_that_was_let_in() -> None:
    key = KeyState(requests=Bucket(10), tokens=Bucket(1000))
    outcome = decide(opening(tokens=400), key, AccountState(), NOW)
    assert outcome.refusal is None
    assert (outcome.requests and outcome.requests.remaining) == 9
    assert (outcome.tokens and outcome.tokens.remaining) == 600
    assert (outcome.requests and outcome.requests.reset) == 6_000_000


@pytest.mark.parametrize(
    ("key", "account", "error", "words", "retry_after"),
    [
        (KeyState(invalid_from=NOW // 1000), AccountState(), AuthenticationError, "not valid", None),
        (KeyState(concurrent=2, running=2), AccountState(), RateLimited, "2 concurrent requests", 1),
        (KeyState(requests=Bucket(1, NOW + MINUTE)), AccountState(), RateLimited, "1 requests per minute", 60),
        (KeyState(tokens=Bucket(150, NOW + MINUTE)), AccountState(), RateLimited, "150 tokens per minute", 40),
        (KeyState(tokens=Bucket(99)), AccountState(), RateLimited, "up to 100 tokens", None),
        (KeyState(day_limit=3 * USD, day_spent=2 * USD), AccountState(), SpendingLimitReached, "3 USD per day", 5400),
        (KeyState(day_limit=3 * USD, reserved=2 * USD), AccountState(), SpendingLimitReached, "reserved 2 USD", 5400),
        (KeyState(day_limit=USD), AccountState(), SpendingLimitReached, "up to 1.5 USD", None),
        (KeyState(month_limit=9 * USD, month_spent=9 * USD), AccountState(), SpendingLimitReached, "per month", 178200),
        (KeyState(), AccountState(2 * USD, USD), InsufficientFunds, "up to 1.5 USD, but the account has 1 USD", None),
        (KeyState(), AccountState(0), InsufficientFunds, "0 USD available", None),
    ],
)
def test_each_limit_refuses_with_its_name_and_changes_nothing(
    key: KeyState, account: AccountState, error: type[Exception], words: str, retry_after: int | None
) -> None:
    before = repr((key, account))
    outcome = decide(opening(price=3 * USD // 2), key, account, NOW)
    assert type(outcome.refusal) is error
    assert outcome.refusal is not None
    assert words in outcome.refusal.message
    assert getattr(outcome.refusal, "retry_after", None) == retry_after
    assert repr((key, account)) == before


def test_a_request_that_costs_exactly_what_is_left_starts() -> None:
    account = AccountState(3 * USD, USD)
    key = KeyState(day_limit=2 * USD, month_limit=2 * USD, concurrent=1, requests=Bucket(1), tokens=Bucket(100))
    assert decide(opening(price=2 * USD), key, account, NOW).refusal is None
    assert account.reserved == 3 * USD
    assert (key.running, key.reserved) == (1, 2 * USD)


def test_without_limits_nothing_is_refused() -> None:
    for _ in range(1000):
        assert decide(opening(price=10**18, tokens=10**7), KEY, AccountState(), NOW).refusal is None


def test_a_free_model_needs_no_balance() -> None:
    assert decide(opening(price=0), KeyState(day_limit=1, day_spent=5), AccountState(-USD), NOW).refusal is None


KEY = KeyState()
