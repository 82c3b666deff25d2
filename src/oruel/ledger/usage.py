"""What was used: requests, tokens, prices and costs, by day, model, tier, account or key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, cast, get_args

from sqlalchemy import Column, ColumnElement, Connection, Select, func, select

from oruel.contract.kinds import JSONSchema, invalid_value
from oruel.errors import InvalidParameter
from oruel.ledger.entries import Status
from oruel.ledger.sums import join_sum, sum_parts
from oruel.ledger.tables import accounts, keys, requests

Grouping = Literal["day", "model", "tier", "account", "key"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
STATUSES: tuple[Status, ...] = get_args(Status)
OPEN = "open"

COLUMNS: Mapping[Grouping, Mapping[str, Column[Any]]] = {
    "day": {"day": requests.c.day},
    "model": {"model": requests.c.model},
    "tier": {"tier": requests.c.tier},
    "account": {"account": accounts.c.name},
    "key": {"key": requests.c.key, "key_name": keys.c.name},
}
"""The columns of a report for each grouping."""
SUMMED = ("prompt_tokens", "cached_tokens", "completion_tokens", "price", "cost")


@dataclass(frozen=True)
class Groupings:
    """Names separated by commas."""

    def parse(self, value: object, path: str) -> tuple[Grouping, ...]:
        names = tuple(dict.fromkeys(value.split(","))) if isinstance(value, str) else ()
        if not names or not set(names) <= set(GROUPINGS):
            raise invalid_value(self, value, path)
        return cast(tuple[Grouping, ...], names)

    def schema(self) -> JSONSchema:
        one = f"({'|'.join(GROUPINGS)})"
        return {"type": "string", "pattern": f"^{one}(,{one})*$"}

    def __str__(self) -> str:
        return f"one or more of {', '.join(GROUPINGS)}, separated by commas"


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Days are in UTC; the first and the last one are included. `account` and `key` are ids, None for all. `keyless`:
    only what was asked without a key of the store.
    """

    by: tuple[Grouping, ...] = ("day",)
    first_day: date | None = None
    last_day: date | None = None
    account: str | None = None
    key: str | None = None
    keyless: bool = False

    def check(self) -> None:
        """Raises InvalidParameter."""
        if self.first_day is not None and self.last_day is not None and self.first_day > self.last_day:
            raise InvalidParameter(
                f"from is {self.first_day}, which is after to, {self.last_day}. Swap them.", param="from"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for grouping in self.by for name in COLUMNS[grouping])


@dataclass(frozen=True, slots=True)
class UsageRow:
    """`group` maps the query's columns to the values that the row's requests share: "" without a key of the store.
    `statuses` counts the requests that ended in each way, and those still open. Money is in units of 10⁻¹² USD.
    """

    group: Mapping[str, str]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    price: int
    cost: int
    statuses: Mapping[str, int]


def report_usage(connection: Connection, query: UsageQuery) -> Sequence[UsageRow]:
    """In order of the query's columns. Without requests, there are no rows."""
    return [read_row(query.columns, row) for row in connection.execute(select_usage(query))]


def select_usage(query: UsageQuery) -> Select[Any]:
    groups = [column for grouping in query.by for column in COLUMNS[grouping].values()]
    sums = [part for column in SUMMED for part in sum_parts(requests.c[column])]
    counts = [func.count(), func.count().filter(requests.c.status.is_(None))]
    counts += [func.count().filter(requests.c.status == status) for status in STATUSES]
    source = requests.outerjoin(accounts, requests.c.account == accounts.c.id)
    source = source.outerjoin(keys, requests.c.key == keys.c.id)
    selected = select(*groups, *sums, *counts).select_from(source).where(*conditions(query))
    return selected.group_by(*groups).order_by(*groups)


def conditions(query: UsageQuery) -> Iterator[ColumnElement[bool]]:
    if query.first_day is not None:
        yield requests.c.day >= query.first_day.isoformat()
    if query.last_day is not None:
        yield requests.c.day <= query.last_day.isoformat()
    if query.account is not None:
        yield requests.c.account == query.account
    if query.key is not None:
        yield requests.c.key == query.key
    if query.keyless:
        yield requests.c.key.is_(None)


def read_row(columns: Sequence[str], row: Sequence[Any]) -> UsageRow:
    values = list(row)
    start = len(columns)
    group = {name: value or "" for name, value in zip(columns, values[:start], strict=True)}
    places = range(start, start + 2 * len(SUMMED), 2)
    sums = {name: join_sum(values[place : place + 2]) for name, place in zip(SUMMED, places, strict=True)}
    total, unsettled, *ended = values[start + 2 * len(SUMMED) :]
    statuses = {OPEN: unsettled, **dict(zip(STATUSES, ended, strict=True))}
    return UsageRow(group, total, **sums, statuses=statuses)


def total_usage(rows: Sequence[UsageRow]) -> UsageRow:
    """All rows as one, without a group."""
    sums = {name: sum(getattr(row, name) for row in rows) for name in ("requests", *SUMMED)}
    statuses = {status: sum(row.statuses[status] for row in rows) for status in (OPEN, *STATUSES)}
    return UsageRow({}, **sums, statuses=statuses)
