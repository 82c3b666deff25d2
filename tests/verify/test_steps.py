"""How the deterministic checks put their findings together."""

import pytest

from oruel.verify.checks.steps import combined, combined_cases, confirmed, told
from oruel.verify.probe import Probe
from oruel.verify.verdict import Exchange, Outcome, Verdict, cant_tell, differs, honoured, ignored, refused

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([honoured(), honoured()], Outcome.HONOURED),
        ([honoured(), cant_tell("why")], Outcome.CANT_TELL),
        ([cant_tell("why"), refused("status 400"), honoured()], Outcome.REFUSED),
        ([refused("status 400"), ignored("so")], Outcome.IGNORED),
        ([ignored("so"), differs("how"), cant_tell("why")], Outcome.DIFFERS),
        ([], Outcome.CANT_TELL),
    ],
)
def test_a_combination_has_the_gravest_outcome_of_its_parts(parts: list[Verdict], outcome: Outcome) -> None:
    assert combined(parts).outcome is outcome


def test_a_combination_says_what_each_fault_is_and_shows_the_exchanges_of_faults() -> None:
    good, bad = Exchange({"n": 1}, 200, "good"), Exchange({"n": 2}, 200, "bad")
    parts = [
        honoured(exchanges=(good,)),
        differs("one", exchanges=(bad,)),
        cant_tell("why"),
        ignored("two"),
        differs("one"),
    ]
    verdict = combined(parts)
    assert verdict.how == "one; two"
    assert verdict.exchanges == (bad,)


def test_cases_of_which_the_same_is_said_share_a_phrase() -> None:
    cases = [
        ("1", differs("clamped to 0")),
        ("2", honoured()),
        ("3", differs("clamped to 0")),
        ("4", ignored("ignored")),
    ]
    assert combined_cases(cases).how == "1, 3: clamped to 0; 4: ignored"


def test_tries_that_tell_nothing_don_t_count_unless_there_are_no_others() -> None:
    assert combined(told([cant_tell("cut"), honoured()])).outcome is Outcome.HONOURED
    assert combined(told([cant_tell("cut"), cant_tell("cut")])).outcome is Outcome.CANT_TELL


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [
        ([honoured()], Outcome.HONOURED),
        ([differs("how"), differs("how")], Outcome.DIFFERS),
        ([differs("how"), honoured()], Outcome.CANT_TELL),
        ([differs("how"), differs("otherwise")], Outcome.CANT_TELL),
    ],
)
async def test_a_fault_counts_only_if_it_shows_twice(verdicts: list[Verdict], outcome: Outcome, probe: Probe) -> None:
    rest = iter(verdicts)

    async def run(probe: Probe) -> Verdict:
        return next(rest)

    assert (await confirmed(run)(probe)).outcome is outcome
    assert not list(rest), "no run more than needed, and none less"
