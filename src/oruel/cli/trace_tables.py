"""Draws the trace of a token in the terminal: its candidates through the steps, the draw, and what it chose from."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oruel.api.chat.trace import TracedCandidate, TraceEntry
from oruel.types import DrawTrace, TokenCount

SOURCES = {
    "drawn": "drawn at random",
    "greedy": "the most probable token",
    "forced": "the only token that the schema or the call allows",
    "closing": "completes the document within the token limit",
    "prefix": "given by trace.prefix",
}
LINE_WIDTH = 32


class TraceConsole:
    """Prints one table per token, numbered from 1. Where the terminal is too narrow for all steps, the table continues
    below with the next ones.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False)
        self.printed = 0

    def print(self, trace: TraceEntry) -> None:
        self.printed += 1
        source = SOURCES.get(trace.source, trace.source)
        self._console.print(Text.assemble((f"{self.printed}  {quote_token(trace)}", "bold"), f"  {source}"))
        for table in self._tables(trace):
            self._console.print(table)
        for line in closing_lines(trace):
            self._console.print(Padding(line, (0, 0, 0, 2), expand=False))
        self._console.print()

    def _tables(self, trace: TraceEntry) -> Iterator[Table]:
        """As few tables as fit the width, each with at least one step."""
        start, steps = 0, len(trace.steps)
        while start == 0 or start < steps:
            end = steps
            while end > start + 1 and self._width(candidate_table(trace, start, end)) > self._console.width:
                end -= 1
            yield candidate_table(trace, start, end)
            start = max(end, 1)

    def _width(self, table: Table) -> int:
        return self._console.measure(table, options=self._console.options.update(width=1000)).maximum


def candidate_table(trace: TraceEntry, start: int, end: int) -> Table:
    """The candidates after the steps from `start` up to `end`; the first table also shows the model's own values."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("  token", overflow="fold")
    shows_bias = start == 0 and any(candidate.bias for candidate in trace.candidates)
    heads = [*model_heads(shows_bias=shows_bias)] if start == 0 else []
    for head in (*heads, *map(step_head, trace.steps[start:end])):
        table.add_column(head, justify="right", no_wrap=True)
    for candidate in trace.candidates:
        own = model_cells(candidate, shows_bias=shows_bias) if start == 0 else []
        cells = [step_cell(candidate, trace.steps, step) for step in range(start, end)]
        is_chosen = candidate.id == trace.id
        mark = "> " if is_chosen else "  "
        table.add_row(mark + quote_token(candidate), *own, *cells, style="bold" if is_chosen else "")
    return table


def model_heads(*, shows_bias: bool) -> list[str]:
    return ["logit", *(["bias"] if shows_bias else []), "count", "model"]


def model_cells(candidate: TracedCandidate, *, shows_bias: bool) -> list[str]:
    logit = "-inf" if candidate.logit is None else f"{candidate.logit:.2f}"
    bias = [f"{candidate.bias:g}"] if shows_bias else []
    return [logit, *bias, str(candidate.count), percent(candidate.probability)]


def step_head(step: str) -> str:
    """Breaks long names: frequency_penalty would take half a terminal."""
    return step if len(step) <= len("removed") else step.replace("_", "\n")


def step_cell(candidate: TracedCandidate, steps: list[str], step: int) -> Text:
    """Empty once another step has removed the candidate."""
    if candidate.removed_by == steps[step]:
        return Text("removed", style="red")
    removed = steps.index(candidate.removed_by) if candidate.removed_by in steps else len(steps)
    return Text(percent(candidate.after[step]) if step < min(removed, len(candidate.after)) else "")


def closing_lines(trace: TraceEntry) -> Iterator[Text]:
    if trace.draw:
        yield draw_line(trace.draw)
    if trace.entropy and trace.survivors:
        entropy = f"entropy {trace.entropy.before:.2f} to {trace.entropy.after:.2f} bits"
        yield Text(f"{entropy}; {tokens(trace.survivors)} left, {share(trace.survivors)}")
    if trace.allowed and "mask" in trace.steps:
        yield Text(f"the mask allows {tokens(trace.allowed)}, {share(trace.allowed)}")


def quote_token(token: TraceEntry | TracedCandidate) -> str:
    """In quotes, without control characters: its text, its bytes if it is a part of a character, or else its id."""
    if not token.token:
        return f"id {token.id}"
    return repr(
        bytes(byte & 255 for byte in token.bytes) if "\N{REPLACEMENT CHARACTER}" in token.token else token.token
    )


def draw_line(draw: DrawTrace) -> Text:
    """The cumulative distribution as a line from 0 to 1: the chosen token's interval, and the point in it."""
    point, low, high = (min(max(int(value * LINE_WIDTH), 0), LINE_WIDTH - 1) for value in (draw.u, draw.low, draw.high))
    line = "".join("┿" if place == point else "━" if low <= place <= high else "─" for place in range(LINE_WIDTH))
    return Text(f"0 {line} 1  {draw.u:.4f} is between {draw.low:.4f} and {draw.high:.4f}")


def tokens(counted: TokenCount) -> str:
    return "1 token" if counted.count == 1 else f"{counted.count:,} tokens"


def share(counted: TokenCount) -> str:
    return f"{percent(counted.mass)} of the model's probability"


def percent(probability: float) -> str:
    if 0 < probability < 0.00005:
        return "<0.01%"
    return f"{probability:.1%}" if probability >= 0.01 or probability == 0 else f"{probability:.2%}"
