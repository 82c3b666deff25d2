"""`oruel usage`: the table, CSV, JSON and the chart."""

import csv
import io
import json
from pathlib import Path

import pytest

from oruel.cli.usage_chart import draw_ascii, draw_eighths
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from tests.cli.command_line import CommandLine, Completed
from tests.ledger.request_rows import record

STORE = "ledger.db"
USD = 10**12


@pytest.fixture
def used(oruel: CommandLine, tmp_path: Path) -> CommandLine:
    """A store with five requests on three days."""
    database = Database.open(str(tmp_path / STORE))
    administration = Administration(database, KeySecret(b"s" * 32))
    account = administration.create_account("team")
    key, _ = administration.create_key("team", KeyTerms(name="ci"))
    owner = {"account": account.id, "key": key.id}
    with database.transaction() as connection:
        record(connection, day="2026-11-25", price=2 * USD, cost=USD, prompt_tokens=100, completion_tokens=20, **owner)
        record(connection, day="2026-11-27", price=USD, tier="turbo", prompt_tokens=7, cached_tokens=4, **owner)
        record(connection, day="2026-11-28", price=4 * USD, completion_tokens=9, **owner)
        record(connection, day="2026-11-28", status="crashed", **owner)
        record(connection, day="2026-11-28", status=None, reserved=USD, model="other")
    database.close()
    return oruel


def call(oruel: CommandLine, *flags: str, columns: int = 120) -> Completed:
    done = oruel.call("usage", "--store", STORE, *flags, COLUMNS=str(columns))
    assert b"Traceback" not in done.stderr
    return done


def rows(done: Completed) -> list[str]:
    return [" ".join(line.split()) for line in done.stdout.decode().splitlines()]


def test_the_table_has_a_row_for_each_day_and_a_total(used: CommandLine) -> None:
    shown = rows(call(used))
    for row in (
        "2026-11-25 1 1 100 0 20 2.000000 1.000000",
        "2026-11-27 1 1 7 4 0 1.000000 0",
        "2026-11-28 3 1 0 0 9 4.000000 0",
        "total 5 3 107 4 29 7.000000 1.000000",
        "Not finished: 1 open, 1 crashed.",
    ):
        assert row in shown


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_table_shows_every_digit(columns: int, used: CommandLine, tmp_path: Path) -> None:
    database = Database.open(str(tmp_path / STORE))
    with database.transaction() as connection:
        record(connection, day="2026-12-01", prompt_tokens=777_777_777_777_777, price=2**63 - 1)
    database.close()
    shown = call(used, columns=columns).stdout.decode()
    assert max(map(len, shown.splitlines())) <= columns
    assert "…" not in shown
    # In the row of the day and, with 107 more, in the total.
    assert shown.count("7") >= 15 + 12


def test_names_are_folded_before_numbers(used: CommandLine) -> None:
    lines = rows(call(used, "--by", "key", columns=80))
    assert any(line.endswith("4 3 107 4 29 7.000000 1.000000") for line in lines)


def test_days_are_chosen_by_from_and_to_inclusively(used: CommandLine) -> None:
    chosen = rows(call(used, "--from", "2026-11-26", "--to", "2026-11-27"))
    assert "total 1 1 7 4 0 1.000000 0" in chosen


@pytest.mark.parametrize(
    ("by", "row"),
    [("tier", "turbo 1 1 7"), ("model", "other 1 0 0"), ("account", "no key 1"), ("model,tier", "demo turbo 1")],
)
def test_rows_are_grouped_as_asked(by: str, row: str, used: CommandLine) -> None:
    assert any(shown.startswith(row) for shown in rows(call(used, "--by", by)))


def test_csv_has_exact_numbers_and_a_header(used: CommandLine) -> None:
    [header, *lines] = csv.reader(io.StringIO(call(used, "--csv", "--by", "key").stdout.decode()))
    assert header[:4] == ["key", "key_name", "requests", "prompt_tokens"]
    by_name = {line[1]: dict(zip(header, line, strict=True)) for line in lines}
    assert by_name.keys() == {"", "ci"}
    assert (by_name["ci"]["price_usd"], by_name["ci"]["crashed"], by_name[""]["open"]) == ("7", "1", "1")


def test_json_is_the_answer_of_the_api_with_costs(used: CommandLine) -> None:
    report = json.loads(call(used, "--json", "--account", "team", "--to", "2026-11-25").stdout)
    assert (report["from"], report["to"], report["by"]) == (None, "2026-11-25", ["day"])
    assert report["total"]["price"] == "2"
    assert report["data"][0]["cost"] == "1"


def test_the_chart_has_a_bar_for_each_day_also_without_requests(used: CommandLine) -> None:
    done = call(used, "--chart", columns=50).stdout.decode()
    lines = done.splitlines()[1:]
    assert "Price in USD by day" in done
    assert [line.split()[0] for line in lines] == ["2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28"]
    lengths = [line.count("█") for line in lines]
    assert lengths[3] > 25
    assert lengths == [lengths[3] // 2, 0, lengths[3] // 4, lengths[3]]
    assert max(map(len, lines)) <= 50


def test_the_chart_of_free_requests_shows_tokens(used: CommandLine) -> None:
    assert "Tokens by model" not in call(used, "--chart", "--by", "model").stdout.decode()
    free = call(used, "--chart", "--by", "tier", "--from", "2026-11-29").stdout.decode()
    assert free == "There are no requests.\n"


def test_bars_are_in_proportion_and_never_vanish() -> None:
    assert [len(draw_eighths(value, 80, 10)) for value in (0, 1, 40, 80)] == [0, 1, 5, 10]
    assert draw_eighths(1, 10**15, 10) == "▏"
    assert [draw_ascii(value, 80, 10) for value in (0, 1, 40, 80)] == ["", "#", "#####", "##########"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--from", "yesterday"], "--from must be a date such as 2026-11-28, but is"),
        (["--from", "2026-11-28", "--to", "2026-11-27"], "from is 2026-11-28, which is after to, 2026-11-27."),
        (["--by", "hour"], "--by must be one or more of day, model, tier, account, key"),
        (["--account", "nobody"], 'There is no account "nobody".'),
        (["--csv", "--chart"], "Choose one of --csv, --chart and --json."),
    ],
)
def test_a_refusal_is_one_line(flags: list[str], words: str, used: CommandLine) -> None:
    refused = call(used, *flags)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.startswith(b"oruel: ")
    assert words in refused.stderr.decode()
    assert refused.stderr.count(b"\n") == 1
