"""What a check found out, and what shows it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Figures = dict[str, float | int | str]


class Outcome(StrEnum):
    HONOURED = "honoured"
    SAME = "same"
    DIFFERS = "differs"
    IGNORED = "ignored"
    REFUSED = "refused"
    CANT_TELL = "can't tell"

    @property
    def holds(self) -> bool:
        """Whether the check found what it hoped for."""
        return self in (Outcome.HONOURED, Outcome.SAME)

    @property
    def is_fault(self) -> bool:
        """Whether the endpoint accepts the parameter, but doesn't do what the profile says."""
        return self in (Outcome.DIFFERS, Outcome.IGNORED)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, as JSON values, so that a reader can repeat it. `status` is None without an answer.
    `url` is the base URL, if it isn't that of the endpoint under test.
    """

    request: dict[str, Any]
    status: int | None
    answer: Any
    url: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One token of a chart: its expected probability, and how often it was drawn."""

    label: str
    expected: float
    count: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Expected probabilities and the draws, for a report. `rejected` maps the name of each alternative to its
    probabilities, in the order of the bars.
    """

    title: str
    bars: tuple[Bar, ...]
    rejected: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        return sum(bar.count for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`how` completes the outcome: how the endpoint differs, what a comparison would have seen, the status of a
    refusal, or why nothing can be told. `figures` are measured values for the evidence column, `p_value` bounds the
    probability of the observation if the endpoint were right. A verdict is `weak` if it rests on less
    than usual: on frequencies or choices, where log-probabilities or weighed tokens would tell more.
    """

    outcome: Outcome
    how: str = ""
    figures: Figures = field(default_factory=dict)
    p_value: float | None = None
    exchanges: tuple[Exchange, ...] = ()
    charts: tuple[Chart, ...] = ()
    weak: bool = False


class Concluded(Exception):
    """Ends a check early with its verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.how)
        self.verdict = verdict


def honoured(**evidence: Any) -> Verdict:
    return Verdict(Outcome.HONOURED, **evidence)


def same(how: str, **evidence: Any) -> Verdict:
    return Verdict(Outcome.SAME, how, **evidence)


def differs(how: str, **evidence: Any) -> Verdict:
    return Verdict(Outcome.DIFFERS, how, **evidence)


def ignored(how: str = "", **evidence: Any) -> Verdict:
    return Verdict(Outcome.IGNORED, how, **evidence)


def refused(how: str, **evidence: Any) -> Verdict:
    return Verdict(Outcome.REFUSED, how, **evidence)


def cant_tell(why: str, **evidence: Any) -> Verdict:
    return Verdict(Outcome.CANT_TELL, why, **evidence)
