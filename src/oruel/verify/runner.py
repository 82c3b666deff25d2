"""Runs checks one after the other and keeps what was found, also when a run ends early."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from oruel.errors import BudgetSpent, VerifyFailed
from oruel.verify.check import Check
from oruel.verify.endpoint import Endpoint
from oruel.verify.probe import Other, Probe
from oruel.verify.profile import Profile
from oruel.verify.reply import Facts
from oruel.verify.survey import survey
from oruel.verify.verdict import Concluded, Outcome, Verdict, cant_tell, refused

# The probability that a run calls a right endpoint wrong, split evenly over its checks.
FALSE_ALARMS = 0.001
# So many checks in a row without any answer end the run.
MAX_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    verdict: Verdict


@dataclass
class Report:
    """`planned` counts the checks of a whole run; `ended` says why it ended early, empty if it didn't. `waited` is in
    seconds. `keyed`: the requests carried an API key. `against` is the base URL of
    the other endpoint in a comparison, else empty.
    """

    url: str
    model: str
    profile: Profile
    seed: int
    facts: Facts = field(default_factory=Facts)
    results: list[Result] = field(default_factory=list)
    tokens: int = 0
    requests: int = 0
    waited: float = 0.0
    ended: str = ""
    planned: int = 0
    keyed: bool = False
    against: str = ""
    against_model: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def faults(self) -> list[Result]:
        return [result for result in self.results if result.verdict.outcome.is_fault]

    @property
    def score(self) -> tuple[int, int]:
        """Honoured checks, of those that could be told."""
        told = [one for one in self.results if one.verdict.outcome is not Outcome.CANT_TELL]
        return sum(one.verdict.outcome.holds for one in told), len(told)


async def run_checks(
    endpoint: Endpoint,
    checks: Sequence[Check],
    profile: Profile,
    seed: int,
    on_result: Callable[[Result], None] = lambda result: None,
    other: Other | None = None,
) -> Report:
    """Raises VerifyFailed if the endpoint can't be tested at all."""
    report = Report(endpoint.url, endpoint.model, profile, seed)
    await fill_report(report, endpoint, checks, on_result, other)
    return report


async def fill_report(
    report: Report,
    endpoint: Endpoint,
    checks: Sequence[Check],
    on_result: Callable[[Result], None],
    other: Other | None = None,
    on_facts: Callable[[Facts], None] = lambda facts: None,
) -> None:
    """Adds to the report as it goes, so that whatever ends the run early leaves what was found. Raises VerifyFailed if
    the endpoint can't be tested at all.
    """
    report.planned = len(checks)
    try:
        report.facts = await survey(endpoint)
        on_facts(report.facts)
        if other:
            other.facts = await survey(other.endpoint)
        await add_results(report, endpoint, checks, on_result, other)
    finally:
        report.tokens, report.requests = endpoint.budget.spent, endpoint.budget.requests
        report.waited = endpoint.waited


async def add_results(
    report: Report,
    endpoint: Endpoint,
    checks: Sequence[Check],
    on_result: Callable[[Result], None],
    other: Other | None,
) -> None:
    failures = 0
    bases: dict[str, dict[str, float]] = {}
    for check in checks:
        # Each check draws the same seeds, whatever ran before it.
        random = Random(f"{report.seed} {check.name}")
        probe = Probe(endpoint, report.facts, report.profile, FALSE_ALARMS / len(checks), random, bases, other)
        try:
            verdict = await run_check(check, probe)
            failures = 0
        except BudgetSpent as error:
            report.ended = error.message
            verdict = cant_tell("the budget was spent")
        except VerifyFailed as error:
            failures += 1
            verdict = cant_tell(error.message)
            report.ended = error.message if failures == MAX_FAILURES else ""
        except Exception as error:  # noqa: BLE001 - an answer of an unforeseen shape costs one check, not the run
            verdict = cant_tell(f"an answer has a shape that the check can't read: {type(error).__name__}: {error}")
        report.results.append(Result(check, verdict))
        on_result(report.results[-1])
        if report.ended:
            break


async def run_check(check: Check, probe: Probe) -> Verdict:
    if "logprobs" in check.requires and not probe.facts.top_logprobs:
        return cant_tell("the endpoint reports no log-probabilities")
    missing = [name for name in check.requires if name != "logprobs" and name not in probe.facts.accepts]
    if missing:
        return cant_tell(f"it needs {', '.join(missing)}, which the endpoint refuses")
    if check.parameter == "max_tokens" and probe.facts.refuses_max_tokens:
        return refused("max_completion_tokens is taken instead")
    try:
        return await check.run(probe)
    except Concluded as early:
        return early.verdict
