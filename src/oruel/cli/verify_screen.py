"""Shows a run of `oruel verify` in the terminal: progress and notes on stderr, the table of verdicts on stdout."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from oruel.cli.answer import replace_controls
from oruel.cli.params import build_table
from oruel.verify.check import Check
from oruel.verify.report.words import cost_words, ended_words, evidence_words, score_words, verdict_words
from oruel.verify.runner import Report, Result
from oruel.verify.verdict import Outcome

STYLES: dict[Outcome, str] = {
    Outcome.HONOURED: "green",
    Outcome.SAME: "green",
    Outcome.DIFFERS: "bold red",
    Outcome.IGNORED: "bold red",
    Outcome.REFUSED: "yellow",
    Outcome.CANT_TELL: "dim",
}


class VerifyScreen:
    """Counts the results of a run. As a context manager, it shows a progress bar, if stderr is a terminal."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._notes = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._notes,
            transient=True,
            disable=not self._notes.is_terminal,
        )
        self._task = self._progress.add_task("looking at the endpoint", total=len(checks))
        self._done = 0

    def __enter__(self) -> "VerifyScreen":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        self._notes.print(replace_controls(text), style="dim")

    def error(self, text: str) -> None:
        self._notes.print(f"oruel: {replace_controls(text)}")

    def result(self, result: Result) -> None:
        self._done += 1
        following = self._checks[self._done].name if self._done < len(self._checks) else "done"
        self._progress.update(self._task, completed=self._done, description=following)

    def waiting(self, status: int, seconds: float) -> None:
        self.note(f"The endpoint answered {status}: waiting {round(seconds, 2):g} s.")

    def show(self, report: Report) -> None:
        """The table, the score and the cost."""
        console = Console(highlight=False, markup=False, emoji=False)
        if report.results:
            console.print(results_table(report.results))
            console.print(f"{score_words(report)}. {cost_words(report)}. Seed {report.seed}.", soft_wrap=True)
        if report.ended:
            self.error(ended_words(report) if report.results else report.ended)


def show_checks(checks: Sequence[Check]) -> None:
    """What the checks ask; of a single parameter's checks also how."""
    console = Console(highlight=False, markup=False, emoji=False)
    if len({check.parameter for check in checks}) > 1:
        console.print(checks_table(checks))
        return
    for check in checks:
        console.print(check.name, style="bold")
        console.print(Padding(check.question, (0, 0, 0, 2)))
        console.print(Padding(check.method, (0, 0, 0, 2)))
        needs = f" Needs {' and '.join(check.requires)}." if check.requires else ""
        console.print(Padding(f"About {check.tokens:,} tokens.{needs}", (0, 0, 1, 2)), style="dim")


def checks_table(checks: Sequence[Check]) -> Table:
    table = build_table("", "check", "question", "tokens")
    for check in checks:
        table.add_row(check.name, check.question, f"{check.tokens:,}")
    return table


def results_table(results: Sequence[Result]) -> Table:
    table = build_table("", "check", "verdict", "evidence")
    for result in results:
        verdict = Text(replace_controls(verdict_words(result.verdict)), style=STYLES[result.verdict.outcome])
        table.add_row(result.check.name, verdict, Text(replace_controls(evidence_words(result.verdict))))
    return table
