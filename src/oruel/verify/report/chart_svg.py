"""A chart as inline SVG: for each token the expected probability as a bar, the drawn share as a dot with its confidence
interval, and the alternatives as outlines. Colours come from the classes in report.css.
"""

import math
from dataclasses import dataclass
from xml.etree import ElementTree

from oruel.verify.report.intervals import wilson
from oruel.verify.report.words import printable
from oruel.verify.verdict import Bar, Chart

MAX_ROWS, MAX_ALTERNATIVES = 14, 3
# In the SVG's own units, which are about pixels.
WIDTH, LEFT, RIGHT, TOP, ROW, AXIS = 760, 132, 188, 22, 28, 24
PLOT = WIDTH - LEFT - RIGHT
# The right ends of the columns of figures: the expected share, the number of draws and their share.
COLUMNS = (WIDTH - 102, WIDTH - 58, WIDTH)
VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥"})


@dataclass(frozen=True, slots=True)
class Row:
    """One token: its drawn share with the interval's ends, and its probability under each shown alternative."""

    label: str
    expected: float
    count: int
    share: float
    low: float
    high: float
    alternatives: tuple[float, ...]

    @property
    def is_off(self) -> bool:
        return not self.low <= self.expected <= self.high


def shown_alternatives(chart: Chart) -> list[str]:
    """The ones that explain the draws best, best first."""

    def log_likelihood(name: str) -> float:
        pairs = zip(chart.bars, chart.rejected[name], strict=False)
        return math.fsum(bar.count * math.log(max(p, 1e-9)) for bar, p in pairs)

    return sorted(chart.rejected, key=log_likelihood, reverse=True)[:MAX_ALTERNATIVES]


def chart_svg(chart: Chart) -> str:
    rows = chart_rows(chart)
    step = tick_step(max((max(row.expected, row.high, *row.alternatives) for row in rows), default=1.0))
    top = step * math.ceil(max((max(row.expected, row.high, *row.alternatives) for row in rows), default=1.0) / step)
    height = TOP + ROW * len(rows) + AXIS
    svg = ElementTree.Element("svg", viewBox=f"0 0 {WIDTH} {height}", role="img")
    svg.set("class", "chart")
    svg.set("aria-label", printable(f"{chart.title}: expected probabilities and {chart.draws} draws"))
    for heading, x in zip(("expected", "", "drawn"), COLUMNS, strict=True):
        add(svg, "text", "figure", heading, x=x, y=TOP - 8)
    add_axis(svg, step, top, height - AXIS)
    for index, row in enumerate(rows):
        add_row(svg, row, TOP + ROW * index, PLOT / top)
    return ElementTree.tostring(svg, encoding="unicode")


def chart_rows(chart: Chart) -> list[Row]:
    """The first tokens; the others are summed up in the last row."""
    names = shown_alternatives(chart)
    columns = [chart.rejected[name] for name in names]
    values = [
        (bar, tuple(column[i] if i < len(column) else 0.0 for column in columns)) for i, bar in enumerate(chart.bars)
    ]
    if len(values) > MAX_ROWS:
        rest = values[MAX_ROWS - 1 :]
        label = f"({len(rest)} others)"
        merged = Bar(label, math.fsum(bar.expected for bar, _ in rest), sum(bar.count for bar, _ in rest))
        sums = tuple(math.fsum(column) for column in zip(*(others for _, others in rest), strict=True))
        values = [*values[: MAX_ROWS - 1], (merged, sums)]
    return [row_of(bar, others, chart.draws) for bar, others in values]


def row_of(bar: Bar, alternatives: tuple[float, ...], draws: int) -> Row:
    low, high = wilson(bar.count, draws)
    return Row(bar.label, bar.expected, bar.count, bar.count / draws if draws else 0.0, low, high, alternatives)


def tick_step(largest: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are at most six ticks."""
    for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2):
        if largest / step <= 5:
            return step
    return 0.25


def add_axis(svg: ElementTree.Element, step: float, top: float, bottom: float) -> None:
    for index in range(round(top / step) + 1):
        x = LEFT + PLOT * index * step / top
        add(svg, "line", "grid", x1=x, x2=x, y1=TOP, y2=bottom)
        add(svg, "text", "tick", f"{100 * index * step:.4g} %", x=x, y=bottom + 16)


def add_row(svg: ElementTree.Element, row: Row, y: float, scale: float) -> None:
    group = ElementTree.SubElement(svg, "g")
    middle = y + ROW / 2
    says = f"{row.label}: expected {percent(row.expected)}, drawn {row.count} times, {percent(row.share)}"
    add(group, "title", "", f"{says} (95 % interval {percent(row.low)} to {percent(row.high)})")
    add(group, "text", "token", visible(row.label), x=LEFT - 12, y=middle + 4)
    add(group, "rect", "expected", x=LEFT, y=middle - 8, width=row.expected * scale, height=16, rx=3)
    for index, p in enumerate(row.alternatives):
        spread = 10 + 1.5 * index
        width = max(p * scale, 1.0)
        add(group, "rect", f"alternative a{index}", x=LEFT, y=middle - spread, width=width, height=2 * spread, rx=3)
    drawn = "drawn off" if row.is_off else "drawn"
    low, high, x = (LEFT + scale * value for value in (row.low, row.high, row.share))
    add(group, "path", drawn, d=f"M{low:.1f} {middle - 4}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {middle - 4}v8")
    add(group, "circle", drawn, cx=x, cy=middle, r=4)
    for text, column in zip((percent(row.expected), str(row.count), percent(row.share)), COLUMNS, strict=True):
        add(group, "text", "figure", text, x=column, y=middle + 4)


def add(parent: ElementTree.Element, tag: str, kind: str, text: str = "", **attributes: float | str) -> None:
    given = {name: f"{value:.1f}" if isinstance(value, float) else str(value) for name, value in attributes.items()}
    child = ElementTree.SubElement(parent, tag, {"class": kind, **given} if kind else given)
    child.text = printable(text) or None


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def visible(label: str, length: int = 14) -> str:
    """A token's text with signs for its white space, shortened."""
    if label.startswith("("):
        return label
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in label.translate(VISIBLE))
    return text if len(text) <= length else f"{text[: length - 1]}…"
