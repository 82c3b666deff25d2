"""The table of checks in docs/verify.md matches the declarations. `python -m tests.verify.test_docs` rewrites it."""

import math
import re
from pathlib import Path

import pytest

from oruel.verify.check import Check
from oruel.verify.checks import CHECKS
from oruel.verify.first_tokens import LEAST_DIVERGENCE
from oruel.verify.probe import MAX_DRAWS
from oruel.verify.profile import PROFILES
from oruel.verify.report.json_report import as_object
from oruel.verify.runner import FALSE_ALARMS
from oruel.verify.statistics import FLOOR
from tests.verify.reported import HONOURED, report

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
TABLE = re.compile(r"(?<=tests/verify/test_docs.py -->\n).*?(?=<!-- end of checks -->)", re.DOTALL)


def row(check: Check) -> str:
    profiles = ", ".join(name for name, profile in PROFILES.items() if profile.covers(check.parameter))
    return f"| `{check.name}` | {check.question.replace('|', chr(92) + '|')} | {check.tokens:,} | {profiles} |"


def table() -> str:
    return "\n".join(["| check | question | tokens | profiles |", "|---|---|---|---|", *map(row, CHECKS), ""])


def test_the_table_of_checks_matches_the_declarations() -> None:
    assert TABLE.findall(PAGE.read_text()) == [table()], "rewrite the table with python -m tests.verify.test_docs"


def test_the_fields_of_the_json_report_are_documented() -> None:
    [found] = re.findall(
        r"The JSON report has the fields (.*?)\. Each check has (.*?)\. Fields may", PAGE.read_text(), re.S
    )
    top, inner = (re.findall(r"`(\w+)`", listed) for listed in found)
    written = as_object(report(HONOURED))
    assert (top, inner) == (list(written), list(written["checks"][0]))


def test_names_of_checks_are_unique_and_begin_with_a_parameter_or_what_they_are_about() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.name.replace("_", "").replace(".", "").isalnum() for check in CHECKS)
    assert all(check.question.endswith("?") and check.method and check.tokens > 0 for check in CHECKS)


def two_sided(null: float, other: float) -> tuple[float, float]:
    """The Kullback-Leibler divergences of two coins, of the other from the null and back."""

    def divergence(p: float, q: float) -> float:
        return sum(x * math.log(x / max(y, FLOOR)) for x, y in ((p, q), (1 - p, 1 - q)) if x > 0)

    return divergence(other, null), divergence(null, other)


def test_the_figures_of_the_statistics_are_right() -> None:
    page = PAGE.read_text()
    assert f"at most {FALSE_ALARMS:.1%}".replace("%", " %") in page
    assert f"draws at most {MAX_DRAWS} tokens" in page
    nats = math.log(3 / (FALSE_ALARMS / 100))
    assert f"{nats:.1f} nats" in page
    cases = (two_sided(1, 1 / 3), two_sided(1, 0.95), two_sided(0.75, 0.5), (LEAST_DIVERGENCE, LEAST_DIVERGENCE))
    table = page.split("draws to rule it out |\n|---|---|---|---|---|\n")[1].splitlines()
    for line, (found, ruled_out) in zip(table, cases, strict=False):
        cells = [float(cell) for cell in line.split("|")[2:6]]
        draws = (math.ceil(nats / found), math.ceil(math.log(100) / ruled_out))
        assert cells == pytest.approx([found, draws[0], ruled_out, draws[1]], rel=0.05), line
        assert (cells[1], cells[3]) == draws, line


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
