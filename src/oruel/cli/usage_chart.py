"""Draws usage as horizontal bars, in eighths of a character where the terminal has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rich.cells import cell_len
from rich.table import Table

from oruel.ledger.money import usd_text
from oruel.ledger.usage import UsageRow

EIGHTHS = " ▏▎▍▌▋▊▉█"
MAX_LABEL, LEAST_BAR = 32, 8
GAPS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """`text` is the value as people read it."""

    label: str
    value: int
    text: str


@dataclass(frozen=True, slots=True)
class Measure:
    """What the length of a bar stands for."""

    title: str
    of: Callable[[UsageRow], int]
    text: Callable[[int], str]


MEASURES = (
    Measure("Price in USD", lambda row: row.price, usd_text),
    Measure("Tokens", lambda row: row.prompt_tokens + row.completion_tokens, str),
    Measure("Requests", lambda row: row.requests, str),
)


def chart_measure(rows: Sequence[UsageRow]) -> Measure:
    """Prices, or else tokens, or else requests: the first that isn't zero everywhere."""
    return next((measure for measure in MEASURES if any(map(measure.of, rows))), MEASURES[-1])


def without_gaps(bars: Sequence[Bar]) -> list[Bar]:
    """Adds the days between the first and the last one on which there were no requests. Labels are days, in order."""
    by_day = {date.fromisoformat(bar.label): bar for bar in bars}
    first, last = min(by_day, default=date.min), max(by_day, default=date.min)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1)) if bars else ()
    return [by_day.get(day) or Bar(day.isoformat(), 0, "0") for day in days]


def bar_table(title: str, bars: Sequence[Bar], width: int, encoding: str) -> Table:
    """As wide as the terminal. The longest bar is the greatest value."""
    labels = min(max(cell_len(bar.label) for bar in bars), MAX_LABEL)
    values = max(cell_len(bar.text) for bar in bars)
    room = max(width - labels - values - GAPS, LEAST_BAR)
    greatest = max(bar.value for bar in bars)
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold", width=labels)
    table.add_column(width=room, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    draw = draw_eighths if encoding.lower().startswith("utf") else draw_ascii
    for bar in bars:
        table.add_row(bar.label, draw(bar.value, greatest, room), bar.text)
    return table


def draw_eighths(value: int, greatest: int, room: int) -> str:
    """What isn't zero is at least an eighth long."""
    eighths = max(value * room * 8 // greatest, 1) if value else 0
    return EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def draw_ascii(value: int, greatest: int, room: int) -> str:
    return "#" * (max(value * room // greatest, 1) if value else 0)
