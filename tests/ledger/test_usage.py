"""Usage reports: sums and counts by group, on both stores."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from oruel.errors import InvalidParameter
from oruel.ledger.accounts import Account
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.keys import StoredKey
from oruel.ledger.usage import GROUPINGS, Groupings, UsageQuery, UsageRow, total_usage
from tests.ledger.request_rows import record

SUMMED = ("prompt_tokens", "cached_tokens", "completion_tokens", "price", "cost")


@pytest.fixture
def admin(store: Database) -> Administration:
    return Administration(store, KeySecret(b"s" * 32))


def random_requests(source: random.Random, accounts: Sequence[Account], keys: Sequence[StoredKey]) -> list[Any]:
    rows = []
    for _ in range(200):
        key = source.choice([*keys, None])
        rows.append(
            {
                "account": key and key.account,
                "key": key and key.id,
                "model": source.choice(["demo", "other"]),
                "tier": source.choice(["standard", "turbo"]),
                "day": source.choice(["2026-11-27", "2026-11-28", "2026-12-01"]),
                "status": source.choice([None, "finished", "error", "disconnect", "crashed"]),
                **{name: source.randrange(10 ** source.randint(1, 15)) for name in SUMMED},
            }
        )
    return rows


def test_every_grouping_adds_up_to_the_rows(admin: Administration, store: Database) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    accounts = [admin.create_account(name) for name in ("a", "b")]
    keys = [admin.create_key(account.id, KeyTerms(name=f"key of {account.name}"))[0] for account in accounts * 2]
    names = {account.id: account.name for account in accounts} | {key.id: key.terms.name for key in keys}
    rows = random_requests(source, accounts, keys)
    with store.transaction() as connection:
        for row in rows:
            record(connection, **row)

    def group_of(row: dict[str, Any], by: Sequence[str]) -> tuple[str, ...]:
        values = {
            "account": (names.get(row["account"], ""),),
            "key": (row["key"] or "", names.get(row["key"], "")),
            **{name: (row[name],) for name in ("day", "model", "tier")},
        }
        return tuple(value for grouping in by for value in values[grouping])

    for by in ([grouping] for grouping in GROUPINGS):
        check_report(admin.report_usage(UsageQuery(by=tuple(by))), rows, lambda row, by=by: group_of(row, by))
    both = UsageQuery(by=("tier", "day"), first_day=date(2026, 11, 28), last_day=date(2026, 11, 28))
    within = [row for row in rows if row["day"] == "2026-11-28"]
    check_report(admin.report_usage(both), within, lambda row: group_of(row, both.by))
    own = [row for row in rows if row["key"] == keys[0].id]
    check_report(admin.report_usage(UsageQuery(key=keys[0].id)), own, lambda row: (row["day"],))
    whole = [row for row in rows if row["account"] == accounts[1].id]
    check_report(admin.report_usage(UsageQuery(account="b")), whole, lambda row: (row["day"],))
    keyless = [row for row in rows if row["key"] is None]
    check_report(admin.report_usage(UsageQuery(keyless=True)), keyless, lambda row: (row["day"],))


def check_report(report: Sequence[UsageRow], rows: Sequence[dict[str, Any]], group_of: Any) -> None:
    expected = defaultdict(list)
    for row in rows:
        expected[group_of(row)].append(row)
    found = {tuple(line.group.values()): line for line in report}
    assert found.keys() == expected.keys()
    for group, members in expected.items():
        line = found[group]
        assert line.requests == len(members)
        assert [getattr(line, name) for name in SUMMED] == [sum(row[name] for row in members) for name in SUMMED]
        assert Counter(line.statuses) == Counter(row["status"] or "open" for row in members)
    total = total_usage(report)
    assert (total.requests, total.price) == (len(rows), sum(row["price"] for row in rows))


def test_sums_beyond_64_bits_are_exact(admin: Administration, store: Database) -> None:
    with store.transaction() as connection:
        for part in range(5):
            record(connection, price=2**63 - 1 - part, cost=2**62 + part)
    [row] = admin.report_usage(UsageQuery())
    assert row.price == 5 * (2**63 - 1) - 10
    assert row.cost == 5 * 2**62 + 10


def test_a_store_without_requests_has_no_rows(admin: Administration) -> None:
    assert admin.report_usage(UsageQuery(by=GROUPINGS)) == []
    assert total_usage([]).requests == 0


def test_groupings_are_names_separated_by_commas() -> None:
    assert Groupings().parse("tier,day,tier", "by") == ("tier", "day")
    for wrong in ("", "hour", "day,", "day, tier", 5, None):
        with pytest.raises(InvalidParameter, match="by must be one or more of day, model, tier, account, key"):
            Groupings().parse(wrong, "by")
