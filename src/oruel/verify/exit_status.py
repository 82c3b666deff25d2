"""The exit status of a run: the most severe finding."""

from enum import IntEnum

from oruel.verify.runner import Report
from oruel.verify.verdict import Outcome

CTRL_C = "Ctrl-C"
"""Why a run ended that the user interrupted."""


class ExitStatus(IntEnum):
    """From 1 on, the most severe comes first. If several apply, the lowest of them counts."""

    HOLDS = 0
    FAULT = 1
    INCOMPLETE = 2
    REFUSED = 3
    UNDECIDED = 4
    INTERRUPTED = 130


MEANINGS: dict[ExitStatus, str] = {
    ExitStatus.HOLDS: "every check was honoured",
    ExitStatus.FAULT: "a promised parameter differs or is ignored",
    ExitStatus.INCOMPLETE: "the endpoint couldn't be tested, or the run ended early; no fault so far",
    ExitStatus.REFUSED: "a promised parameter is refused; no fault",
    ExitStatus.UNDECIDED: "a check couldn't tell; no fault and no refusal",
    ExitStatus.INTERRUPTED: "Ctrl-C; what was found so far is shown and written",
}


def exit_status(report: Report) -> ExitStatus:
    outcomes = {result.verdict.outcome for result in report.results}
    if report.ended == CTRL_C:
        return ExitStatus.INTERRUPTED
    if report.faults:
        return ExitStatus.FAULT
    if report.ended:
        return ExitStatus.INCOMPLETE
    if Outcome.REFUSED in outcomes:
        return ExitStatus.REFUSED
    return ExitStatus.UNDECIDED if Outcome.CANT_TELL in outcomes else ExitStatus.HOLDS
