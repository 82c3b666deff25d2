"""Prints usage reports as a table, CSV, JSON or a chart."""

import csv
import io
from collections.abc import Sequence

import typer
from rich.table import Table

from oruel.api.account_objects import usage_report
from oruel.cli.account_tables import plain_console, print_json
from oruel.cli.params import build_table
from oruel.cli.usage_chart import Bar, Measure, bar_table, chart_measure, without_gaps
from oruel.ledger.money import to_usd, usd_text
from oruel.ledger.usage import OPEN, STATUSES, UsageQuery, UsageRow, total_usage

NUMBERS = ("requests", "finished", "input", "cached", "output", "price", "cost")
CSV_COLUMNS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "price_usd", "cost_usd")
GAP, LEAST_NAME = 2, 5
NOTE = "Prices and costs are in USD, rounded to 6 decimals. --csv and --json print them exactly."


def print_table(query: UsageQuery, rows: Sequence[UsageRow]) -> None:
    console = plain_console()
    total = total_usage(rows)
    groups = [[value or "no key" for value in row.group.values()] for row in rows]
    groups.append(["total", *([""] * (len(query.columns) - 1))])
    numbers = [number_cells(row) for row in (*rows, total)]
    console.print(usage_table(query.columns, groups, numbers, console.width))
    if ended := unfinished(total):
        console.print(f"Not finished: {ended}.")
    console.print(NOTE)


def usage_table(
    columns: Sequence[str], groups: Sequence[Sequence[str]], numbers: Sequence[Sequence[str]], width: int
) -> Table:
    """The last row is the total. Names are folded before numbers are."""
    table = build_table("Usage", *columns, *NUMBERS)
    table.padding = (0, GAP - 1, 0, 0)
    taken = sum(GAP + max(map(len, cells)) for cells in zip(NUMBERS, *numbers, strict=True))
    is_wide = taken + (GAP + LEAST_NAME) * len(columns) <= width
    for place, column in enumerate(table.columns):
        is_number = place >= len(columns)
        column.no_wrap = is_number and is_wide
        column.overflow = "fold"
        column.justify = "right" if is_number else "left"
    for group, cells in zip(groups[:-1], numbers[:-1], strict=True):
        table.add_row(*group, *cells)
    table.add_section()
    table.add_row(*groups[-1], *numbers[-1], style="bold")
    return table


def number_cells(row: UsageRow) -> list[str]:
    tokens = (row.prompt_tokens, row.cached_tokens, row.completion_tokens)
    money = (f"{to_usd(units):.6f}" if units else "0" for units in (row.price, row.cost))
    return [*map(str, (row.requests, row.statuses["finished"], *tokens)), *money]


def unfinished(row: UsageRow) -> str:
    """How many requests did not finish, and why."""
    ended = {status: count for status, count in row.statuses.items() if count and status != "finished"}
    return ", ".join(f"{count} {status}" for status, count in ended.items())


def print_csv(query: UsageQuery, rows: Sequence[UsageRow]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    statuses = (*STATUSES, OPEN)
    writer.writerow([*query.columns, *CSV_COLUMNS, *statuses])
    for row in rows:
        counts = (row.requests, row.prompt_tokens, row.cached_tokens, row.completion_tokens)
        ended = (row.statuses[status] for status in statuses)
        writer.writerow([*row.group.values(), *counts, usd_text(row.price), usd_text(row.cost), *ended])
    typer.echo(text.getvalue(), nl=False)


def print_report(query: UsageQuery, rows: Sequence[UsageRow]) -> None:
    print_json(usage_report(query, rows, shows_cost=True))


def print_chart(query: UsageQuery, rows: Sequence[UsageRow]) -> None:
    console = plain_console()
    measure = chart_measure(rows)
    bars = [bar(row, measure) for row in rows]
    if query.by == ("day",):
        bars = without_gaps(bars)
    title = f"{measure.title} by {', '.join(query.by)}"
    console.print(bar_table(title, bars, console.width, console.encoding) if bars else "There are no requests.")


def bar(row: UsageRow, measure: Measure) -> Bar:
    label = " ".join(value for value in row.group.values() if value)
    return Bar(label or "no key", measure.of(row), measure.text(measure.of(row)))
