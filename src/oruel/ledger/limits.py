"""Decides whether a request may start: limits of its key, and the balance of its account. Pure.

Limits per minute are buckets by the generic cell rate algorithm (ITU-T I.371): `due` is the time at which the bucket is
unused again. A bucket therefore needs one number, and refills continuously.
"""

import math
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec

from oruel.errors import AuthenticationError, InsufficientFunds, OruelError, RateLimited, SpendingLimitReached
from oruel.ledger.entries import Allowance, Opened, Opening
from oruel.ledger.money import usd_text

NANOSECONDS = 10**9
MINUTE = 60 * NANOSECONDS
MICROSECONDS_PER_DAY = 86400 * 10**6
FIRST_DAY = date(1970, 1, 1)


class Bucket(msgspec.Struct, frozen=True):
    """`limit`: units per minute, which may also be taken at once. `due` is in nanoseconds since the epoch."""

    limit: int
    due: int = 0

    def as_of(self, now: int) -> "Bucket":
        """A clock that was set back doesn't keep the bucket full for longer than a minute."""
        return self if self.due <= now + MINUTE else Bucket(self.limit, now + MINUTE)

    def used(self, now: int) -> int:
        """How much is used, as nanoseconds until it is free again: 0 to MINUTE."""
        return min(max(0, self.due - now), MINUTE)

    def wait(self, amount: int, now: int) -> int:
        """Nanoseconds until `amount`, at most the limit, is free."""
        return max(0, self.used(now) + self._time(amount) - MINUTE)

    def take(self, amount: int, now: int) -> "Bucket":
        return Bucket(self.limit, now + self.used(now) + self._time(amount))

    def give_back(self, amount: int) -> "Bucket":
        return Bucket(self.limit, self.due - self._time(amount))

    def allowance(self, now: int) -> Allowance:
        used = self.used(now)
        return Allowance(self.limit, (MINUTE - used) * self.limit // MINUTE, used // 1000)

    def _time(self, amount: int) -> int:
        return amount * MINUTE // self.limit


@dataclass(slots=True)
class AccountState:
    """`reserved` is the sum of the account's open requests. `balance` is None unless the account is prepaid."""

    balance: int | None = None
    reserved: int = 0


@dataclass(slots=True)
class KeyState:
    """A key's limits, and what they count: the spending of this day and month in UTC, and the open requests.
    `invalid_from` is when the key was revoked or expires, in microseconds since the epoch.
    """

    invalid_from: int | None = None
    requests: Bucket | None = None
    tokens: Bucket | None = None
    concurrent: int | None = None
    day_limit: int | None = None
    month_limit: int | None = None
    day_spent: int = 0
    month_spent: int = 0
    running: int = 0
    reserved: int = 0


def decide(opening: Opening, key: KeyState, account: AccountState, now: int) -> Opened:
    """Lets the request start and counts it in `key` and `account`, or refuses it. `now` is in nanoseconds since the
    epoch.
    """
    key.requests = key.requests and key.requests.as_of(now)
    key.tokens = key.tokens and key.tokens.as_of(now)
    refusal = next(refusals(opening, key, account, now), None)
    if refusal is None:
        count(opening, key, account, now)
    return Opened(
        refusal,
        requests=key.requests.allowance(now) if key.requests else None,
        tokens=key.tokens.allowance(now) if key.tokens else None,
    )


def count(opening: Opening, key: KeyState, account: AccountState, now: int) -> None:
    key.requests = key.requests and key.requests.take(1, now)
    key.tokens = key.tokens and key.tokens.take(opening.tokens, now)
    key.running += 1
    key.reserved += opening.price
    account.reserved += opening.price


def uncount(opening: Opening, key: KeyState, account: AccountState) -> None:
    """The opposite of `count`: as if the request had never started."""
    key.requests = key.requests and key.requests.give_back(1)
    release(opening, 0, 0, key, account)


def release(opening: Opening, price: int, used_tokens: int, key: KeyState, account: AccountState) -> None:
    """Ends what `count` began: the request has used so many tokens, and costs `price`."""
    unused = opening.tokens - used_tokens
    key.tokens = key.tokens.give_back(unused) if key.tokens and unused > 0 else key.tokens
    key.running -= 1
    key.reserved -= opening.price
    account.reserved -= opening.price
    spend(price, key, account)


def spend(price: int, key: KeyState, account: AccountState) -> None:
    key.day_spent += price
    key.month_spent += price
    if account.balance is not None:
        account.balance -= price


def refusals(opening: Opening, key: KeyState, account: AccountState, now: int) -> Iterator[OruelError]:
    """Why the request can't start, the most basic reason first."""
    if key.invalid_from is not None and key.invalid_from * 1000 <= now:
        yield AuthenticationError("The API key is not valid. Ask the operator for a key.")
    if key.concurrent is not None and key.running >= key.concurrent:
        yield RateLimited(
            f"{key.running} requests of this API key are running, and its limit is {key.concurrent} concurrent "
            "requests. Wait until one of them has ended.",
            retry_after=1,
        )
    yield from rate_refusals(opening, key, now)
    yield from spending_refusals(opening, key, now)
    if account.balance is not None and 0 < opening.price > account.balance - account.reserved:
        yield InsufficientFunds(
            f"The request may cost up to {usd_text(opening.price)} USD, but the account has "
            f"{usd_text(account.balance - account.reserved)} USD available: a balance of {usd_text(account.balance)} "
            f"USD, of which running requests have reserved {usd_text(account.reserved)} USD. Lower max_tokens, or add "
            "credit."
        )


def rate_refusals(opening: Opening, key: KeyState, now: int) -> Iterator[RateLimited]:
    for bucket, amount, unit in ((key.requests, 1, "requests"), (key.tokens, opening.tokens, "tokens")):
        if bucket is None:
            continue
        if amount > bucket.limit:
            yield RateLimited(
                f"The request may use up to {amount} {unit}, more than the limit of this API key, {bucket.limit} "
                f"{unit} per minute. Lower max_tokens, or shorten the messages."
            )
        elif wait := bucket.wait(amount, now):
            free = bucket.allowance(now).remaining
            yield RateLimited(
                f"The limit of this API key is {bucket.limit} {unit} per minute; {free} are left, and the request "
                f"needs {amount}. Try again in {seconds(wait)} s.",
                retry_after=seconds(wait),
            )


def spending_refusals(opening: Opening, key: KeyState, now: int) -> Iterator[SpendingLimitReached]:
    for limit, spent, period, left_of in (
        (key.day_limit, key.day_spent, "day", left_of_day),
        (key.month_limit, key.month_spent, "month", left_of_month),
    ):
        if limit is not None and 0 < opening.price > limit - spent - key.reserved:
            yield SpendingLimitReached(
                f"The request may cost up to {usd_text(opening.price)} USD, but this API key may spend "
                f"{usd_text(limit)} USD per {period} (UTC): it has spent {usd_text(spent)} USD, and running requests "
                f"have reserved {usd_text(key.reserved)} USD. Lower max_tokens, or wait for the next {period}.",
                retry_after=left_of(datetime.fromtimestamp(now / NANOSECONDS, UTC)) if opening.price <= limit else None,
            )


def seconds(nanoseconds: int) -> int:
    return math.ceil(nanoseconds / NANOSECONDS)


def left_of_day(moment: datetime) -> int:
    """Seconds until the next day."""
    return 86400 - (moment.hour * 3600 + moment.minute * 60 + moment.second)


def left_of_month(moment: datetime) -> int:
    """Seconds until the next month."""
    return left_of_day(moment) + 86400 * (monthrange(moment.year, moment.month)[1] - moment.day)


def day_of(microseconds: int) -> str:
    """The day in UTC, as in 2026-11-28; its first seven characters are the month."""
    return nth_day(microseconds // MICROSECONDS_PER_DAY)


@lru_cache(maxsize=4)
def nth_day(number: int) -> str:
    """The day this many days after 1970-01-01."""
    return (FIRST_DAY + timedelta(days=number)).isoformat()
