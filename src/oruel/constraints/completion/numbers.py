"""Small numbers that fit the bounds and divisors of a variant, and the ends of numbers in progress."""

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain, count, islice, product
from math import ceil, floor, lcm
from typing import Any

from oruel.constraints.completion.node import Variant

# How many numbers one variant has at most.
MAX_NUMBERS = 1_000
# Up to how many digits are added to a number in progress.
MAX_DIGITS = 2
# Up to how many digits are added to get between its bounds, and how many numbers of each length are tried.
MAX_LONG_DIGITS, MAX_PER_LENGTH = 18, 3
BEGINNING = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]*)?")
DIGITS = "0123456789"


class Range:
    """The numbers between the bounds, in steps of the least common multiple of the divisors."""

    def __init__(self, variant: Variant, *, is_whole: bool) -> None:
        self.low = max(map(exact, lower_bounds(variant)), default=None)
        self.high = min(map(exact, upper_bounds(variant)), default=None)
        self.excluded = {exact(one) for key in ("exclusiveMinimum", "exclusiveMaximum") for one in variant.numbers(key)}
        self.excluded |= {
            exact(facet[key])
            for key, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
            for facet in variant.facets
            if facet.get(flag) is True and key in facet
        }
        self._divisors = [one for one in variant.numbers("multipleOf") if one > 0]
        divisors = list(map(exact, self._divisors))
        self.is_whole = is_whole
        self.is_stepped = bool(divisors) or is_whole
        self.step = common_multiple([*divisors, *([Fraction(1)] if is_whole else [])])

    def __contains__(self, number: Fraction) -> bool:
        return (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and number not in self.excluded
            and (not self.is_stepped or number % self.step == 0)
            and all(map(partial(is_multiple, number), self._divisors))
        )

    def small(self) -> Iterator[Fraction]:
        """Those near zero first."""
        if self.low is not None and self.low > 0:
            places = (ceil(self.low / self.step) + one for one in count())
        elif self.high is not None and self.high < 0:
            places = (floor(self.high / self.step) - one for one in count())
        else:
            places = (sign * one for one in count() for sign in ((1, -1) if one else (1,)))
        for place in islice(places, MAX_NUMBERS):
            number = place * self.step
            if self.low is not None and self.high is not None and not self.low <= number <= self.high:
                if abs(number) > max(abs(self.low), abs(self.high)):
                    return
                continue
            if number in self:
                yield number

    def within(self, low: Fraction, high: Fraction, scale: Fraction) -> Iterator[Fraction]:
        """The multiples of `scale` between other bounds, too."""
        low = low if self.low is None else max(low, self.low)
        high = high if self.high is None else min(high, self.high)
        step = common_multiple([scale, self.step]) if self.is_stepped else scale
        first = ceil(low / step)
        places = range(first, first + MAX_PER_LENGTH + 2)
        yield from (place * step for place in places if place * step <= high and place * step in self)

    def between(self) -> Iterator[Fraction]:
        """Some of those between the bounds that aren't whole."""
        if self.is_stepped:
            return
        low = self.low if self.low is not None else (self.high - 1 if self.high is not None else Fraction(0))
        high = self.high if self.high is not None else low + 1
        for parts in (2, 10, 100):
            places = ((floor(low * parts) + one, parts) for one in range(1, parts))
            yield from (Fraction(*place) for place in places if Fraction(*place) in self)
        yield from (number for number in ((low + high) / 2, low, high) if number in self)


def is_multiple(number: Fraction, divisor: int | float) -> bool:
    """Whether validators that divide in floating point find it a multiple as well."""
    return not isinstance(divisor, float) or (float(number) / divisor).is_integer()


def lower_bounds(variant: Variant) -> list[Any]:
    return variant.numbers("minimum") + variant.numbers("exclusiveMinimum")


def upper_bounds(variant: Variant) -> list[Any]:
    return variant.numbers("maximum") + variant.numbers("exclusiveMaximum")


def numbers(variant: Variant, *, is_whole: bool) -> Iterator[int | float]:
    allowed = Range(variant, is_whole=is_whole)
    if is_whole:
        yield from map(int, allowed.small())
        return
    yield from (plain(number) for number in islice(allowed.small(), 2))
    yield from islice(dict.fromkeys(map(plain, allowed.between())), 20)
    yield from (plain(number) for number in islice(allowed.small(), 2, None))


def number_ends(variant: Variant, written: str) -> Iterator[str]:
    """What may follow the beginning of a number."""
    if not set(variant.types) & {"integer", "number"}:
        return
    allowed = Range(variant, is_whole="number" not in variant.types)
    seen = set[str]()
    for end in chain(short_ends(written), longer_ends(allowed, written)):
        number = read_number(written + end) if end not in seen else None
        seen.add(end)
        if number is not None and number in allowed:
            yield end


def short_ends(written: str) -> Iterator[str]:
    yield ""
    if not set(written) & set(".eE"):
        yield from (".5", ".0")
    for length in range(1, MAX_DIGITS + 1):
        yield from map("".join, product(DIGITS, repeat=length))


def longer_ends(allowed: Range, written: str) -> Iterator[str]:
    """For each number of further digits, before or after the point, those that lead to the smallest numbers between the
    bounds.
    """
    if not BEGINNING.fullmatch(written):
        return
    sign, whole, fraction = written.startswith("-"), *written.lstrip("-").partition(".")[::2]
    digits = whole + fraction
    for added in range(1, MAX_LONG_DIGITS + 1):
        for point in [len(whole)] if "." in written else [len(whole) + added, len(whole)]:
            scale = Fraction(1, 10 ** (len(digits) + added - point))
            low = int(digits or "0") * 10**added * scale
            high = low + (10**added - 1) * scale
            low, high = (-high, -low) if sign else (low, high)
            for number in islice(allowed.within(low, high, scale), MAX_PER_LENGTH):
                text = decimal_text(number, len(digits) + added - point)
                if text.startswith(written):
                    yield text[len(written) :]


def decimal_text(number: Fraction, places: int) -> str:
    """With exactly so many digits after the point, which has to be enough."""
    digits = str(abs(int(number * 10**places))).rjust(places + 1, "0")
    point = len(digits) - places
    return ("-" if number < 0 else "") + digits[:point] + ("." + digits[point:] if places else "")


def read_number(text: str) -> Fraction | None:
    """None if it is no number of JSON, or beyond what parsers read exactly."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return exact(value) if is_number and abs(value) < 10**308 else None


def exact(number: int | float) -> Fraction:
    """What was written, rather than the nearest float."""
    return Fraction(repr(number))


def plain(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(number)


def common_multiple(steps: list[Fraction]) -> Fraction:
    found = Fraction(1)
    for place, step in enumerate(steps):
        found = (
            step
            if not place
            else Fraction(
                lcm(found.numerator * step.denominator, step.numerator * found.denominator),
                found.denominator * step.denominator,
            )
        )
    return found
