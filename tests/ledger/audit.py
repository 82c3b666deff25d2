"""A second opinion on what a store holds: reads it with the databases' own drivers, and recomputes every sum from the
rows of requests and credits.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

# In units of 10⁻¹² USD per token: uncached input, cached input, output. catalog() in serving.py says the same in USD.
UNITS_PER_TOKEN = {"standard": (600_000, 150_000, 2_400_000), "turbo": (1_200_000, 300_000, 4_800_000)}
CHARGED = ("finished", "disconnect")

Row = dict[str, Any]


@dataclass(frozen=True)
class Audit:
    """All rows of a store as of one moment. `requests` by id; `balances` and `credits` by account; `spending` by key
    and period; `instances` are the process ids by instance.
    """

    requests: Mapping[str, Row]
    balances: Mapping[str, int | None]
    credits: Mapping[str, int]
    spending: Mapping[tuple[str, str], int]
    instances: Mapping[str, int]

    @property
    def open(self) -> list[Row]:
        return [row for row in self.requests.values() if row["status"] is None]

    def count(self, status: str) -> int:
        return sum(row["status"] == status for row in self.requests.values())

    def assert_sums(self) -> None:
        """Also while requests are running."""
        paid, spent = Counter[str](), Counter[str]()
        for row in self.requests.values():
            assert row["price"] == expected_price(row), row
            assert row["status"] is None or (row["reserved"], row["reserved_tokens"]) == (0, 0), row
            if row["key"]:
                paid[row["account"]] += row["price"]
                spent[row["key"]] += row["price"]
        for account, balance in self.balances.items():
            if balance is not None:
                assert balance == self.credits[account] - paid[account]
        for length in (len("2026-11-28"), len("2026-11")):
            by_key = Counter[str]()
            for (key, period), amount in self.spending.items():
                by_key[key] += amount if len(period) == length else 0
            assert +by_key == +spent

    def assert_settled(self) -> None:
        assert not self.open
        self.assert_sums()


def expected_price(row: Row) -> int:
    uncached, cached, output = UNITS_PER_TOKEN[row["tier"]]
    if row["status"] not in CHARGED:
        return 0
    return int(
        uncached * (row["prompt_tokens"] - row["cached_tokens"])
        + cached * row["cached_tokens"]
        + output * row["completion_tokens"]
    )


def price_of(tier: str, usage: Mapping[str, Any]) -> int:
    """What the catalog's prices say that a usage which a client was shown costs, in units."""
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    tokens = {name: usage[name] for name in ("prompt_tokens", "completion_tokens")}
    return expected_price({"status": "finished", "tier": tier, "cached_tokens": cached, **tokens})


def audit(location: str) -> Audit:
    tables = read_tables(location)
    paid = Counter[str]()
    for credit in tables["credits"]:
        paid[credit["account"]] += credit["amount"]
    requests = {row["id"]: row for row in tables["requests"]}
    assert len(requests) == len(tables["requests"])
    return Audit(
        requests,
        {row["id"]: row["balance"] for row in tables["accounts"]},
        paid,
        {(row["key"], row["period"]): row["spent"] for row in tables["spending"]},
        {row["id"]: row["pid"] for row in tables["instances"]},
    )


def read_tables(location: str) -> dict[str, list[Row]]:
    """In one transaction, so that the sums belong together."""
    names = ("requests", "accounts", "credits", "spending", "instances")
    with closing(connect(location)) as connection:
        return {name: read(connection, f"SELECT * FROM {name}") for name in names}


def connect(location: str) -> Any:
    if location.startswith("postgresql:"):
        connection = psycopg.connect(location)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection
    database = sqlite3.connect(location, isolation_level=None)
    database.execute("BEGIN")
    return database


def read(connection: Any, statement: str) -> list[Row]:
    cursor = connection.cursor()
    cursor.execute(statement)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
