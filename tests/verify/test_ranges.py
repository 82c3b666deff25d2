"""Values out of range: the checks distinguish endpoints that refuse, clamp or ignore them."""

import math

import pytest

from oruel.verify.checks.ranges import CONTEXTS, RANGED, TELLING, beyond, written, wrong_types
from oruel.verify.profile import PROFILES, Range
from tests.verify.asking import verdict_of
from tests.verify.faults_bodies import RangesClamped

pytestmark = pytest.mark.anyio

RANGES = [(name, bounds) for profile in PROFILES.values() for name, bounds in profile.ranges.items()]


@pytest.mark.parametrize(("name", "bounds"), RANGES)
def test_values_beyond_a_range_lie_outside_of_it_on_both_sides(name: str, bounds: Range) -> None:
    values = beyond(bounds)
    assert {value < bounds.low for value, _, _ in values} == {True, False}
    for value, bound, inner in values:
        assert not bounds.low <= value <= bounds.high
        assert bound == (bounds.low if value < bounds.low else bounds.high)
        assert bounds.low <= inner <= bounds.high
        assert inner != bound


@pytest.mark.parametrize(("name", "bounds"), RANGES)
def test_wrong_types_are_no_numbers_of_the_right_kind(name: str, bounds: Range) -> None:
    for value, meant in wrong_types(name, bounds):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        assert not is_number or (bounds.whole and not float(value).is_integer())
        assert bounds.low <= meant <= bounds.high


def test_every_parameter_with_a_range_has_a_request_in_which_it_shows() -> None:
    assert set(RANGED) <= set(CONTEXTS)
    for name, bounds in RANGES:
        assert bounds.low <= TELLING[name] <= bounds.high


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (2.0, "2"), (2**63 - 1, "9223372036854775807"), (True, "true"), ("0.5", '"0.5"'), (math.nan, "NaN")],
)
def test_values_are_written_as_in_json(value: object, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("temperature", "-0.01, -2: clamped to 0"),
        ("n", "9: clamped to 8"),
        ("top_logprobs", "21: clamped to 20"),
        ("min_p", "-0.01, -1: accepted without effect shown"),
        ("presence_penalty", "2.01, 6: accepted, acting like 2"),
    ],
)
async def test_clamping_is_claimed_only_where_it_shows(name: str, how: str) -> None:
    assert how in (await verdict_of(f"{name}.range", RangesClamped())).how
