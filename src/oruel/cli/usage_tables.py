"""Prints usage reports as a table, CSV, JSON or a chart."""

import csv
import io
from collections.abc import Sequence

import typer

from oruel.api.account_objects import usage_report
from oruel.cli.account_tables import plain_console, print_json
from oruel.cli.params import build_table
from oruel.cli.usage_chart import Bar, Measure, bar_table, chart_measure, without_gaps
from oruel.ledger.money import usd_text
from oruel.ledger.usage import OPEN, STATUSES, UsageQuery, UsageRow, total_usage

NUMBERS = ("requests", "input", "cached", "output", "price", "cost", "not finished")
CSV_COLUMNS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "price_usd", "cost_usd")


def print_table(query: UsageQuery, rows: Sequence[UsageRow]) -> None:
    first, *others = query.columns
    table = build_table("Usage in tokens and USD", first, *others, *NUMBERS)
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    for column in table.columns[len(query.columns) : -1]:
        column.justify = "right"
    for row in rows:
        group = [value or "no key" for value in row.group.values()]
        table.add_row(*group, *number_cells(row), unfinished(row))
    table.add_section()
    total = total_usage(rows)
    table.add_row("total", *([""] * len(others)), *number_cells(total), unfinished(total), style="bold")
    plain_console().print(table)


def number_cells(row: UsageRow) -> list[str]:
    counts = (row.requests, row.prompt_tokens, row.cached_tokens, row.completion_tokens)
    return [*map(str, counts), usd_text(row.price), usd_text(row.cost)]


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
        writer.writerow([*row.group.values(), *number_cells(row), *(row.statuses[status] for status in statuses)])
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
