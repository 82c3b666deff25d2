"""The tables of power in docs/verify.md have a row for everything that is measured. `python -m tests.verify.power`
rewrites them.
"""

import re
from functools import partial

import pytest

from oruel.verify.checks import CHECKS
from oruel.verify.first_tokens import DrawnTokens
from tests.verify.power import PAGE, TABLES, defects, phrase, powers, together, upper_bound
from tests.verify.simulated import HONEST, Row, Size, count_faults, measure_drawn, truths


def rows_of_page() -> list[list[str]]:
    [tables] = TABLES.findall(PAGE.read_text())
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables.splitlines() if line[:3] == "| `"]


def test_every_alternative_of_every_statistical_check_has_its_row() -> None:
    rows = [(re.findall(r"`([^`]+)`", cells[0]), cells[1]) for cells in rows_of_page()]
    written = {(check, truth) for checks, truth in rows for check in checks}
    assert {one for one in truths() if one[1] != HONEST} <= written
    assert {check for check, _ in truths()} <= {check for checks, _ in rows for check in checks}


def test_every_other_planted_defect_of_sampling_has_its_row() -> None:
    written = {tuple(cells[:2]) for cells in rows_of_page()}
    assert {(f"`{fault.check}`", phrase(fault)) for fault in defects()} <= written


@pytest.mark.anyio
async def test_models_that_are_simulated_apart_count_together() -> None:
    check = next(check for check in CHECKS if check.name == "min_p")
    assert isinstance(check.run, DrawnTokens)
    size = partial(Size, runs=2, honest=4)
    apart = [await measure_drawn(check, check.run, size(models=[salt])) for salt in range(3)]
    assert together(apart) == await measure_drawn(check, check.run, size(models=range(3)))


@pytest.mark.anyio
async def test_a_simulated_check_finds_its_alternatives_and_does_not_accuse_the_null() -> None:
    check = next(check for check in CHECKS if check.name == "top_k")
    assert isinstance(check.run, DrawnTokens)
    measure = partial(measure_drawn, check, check.run, Size(models=[0], runs=5, honest=40))
    rows = await measure()
    honest, *alternatives = rows
    assert (honest.truth, count_faults(honest.runs), len(honest.runs)) == (HONEST, 0, 40)
    assert all(len(row.faults) == 5 and row.share_named() == 1 for row in alternatives)
    assert powers(rows) == powers(await measure())


def test_shares_count_only_what_was_found() -> None:
    row = Row(("top_k",), "ignored")
    assert (row.share_named(), row.share_listed()) == (0, 0)


@pytest.mark.parametrize("runs", [1, 20, 5000])
def test_without_a_false_alarm_the_bound_is_the_rate_at_which_none_is_seen_in_5_percent_of_all_cases(runs: int) -> None:
    assert (1 - upper_bound(0, runs)) ** runs == pytest.approx(0.05)
