"""Carries out a run of `oruel verify`: checks the endpoint, then shows and writes what was found, however it ended."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from oruel.cli.verify_screen import VerifyScreen
from oruel.errors import VerifyFailed
from oruel.verify.budget import Budget
from oruel.verify.check import Check
from oruel.verify.endpoint import Endpoint, open_endpoint
from oruel.verify.exit_status import CTRL_C, ExitStatus, exit_status
from oruel.verify.probe import THINKING, Other
from oruel.verify.profile import Profile
from oruel.verify.reply import Facts
from oruel.verify.report.html_report import as_html
from oruel.verify.report.json_report import as_json
from oruel.verify.report.junit_report import as_junit
from oruel.verify.report.presentable import presentable
from oruel.verify.report.words import plural
from oruel.verify.runner import Report, fill_report
from oruel.verify.survey import SURVEY_TOKENS, first_model

FORMATS: Mapping[str, Callable[[Report], str]] = {"json": as_json, "html": as_html, "junit": as_junit}


@dataclass(frozen=True, slots=True)
class OtherEndpoint:
    """What to compare with. The first model that it lists, unless one is named."""

    url: str
    model: str | None
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """`budget` is in tokens, `price` per million of them. `files` by format; None means that none is written.
    With `other`, the checks are those of a comparison.
    """

    url: str
    model: str | None
    api_key: str | None
    checks: Sequence[Check]
    profile: Profile
    seed: int
    budget: int | None
    price: float | None
    answer_seconds: float
    files: Mapping[str, Path | None] = field(default_factory=dict)
    other: OtherEndpoint | None = None


def carry_out(plan: Plan) -> ExitStatus:
    """Raises VerifyFailed, before the first request, if a report can't be written."""
    for path in filter(None, plan.files.values()):
        require_writable(path)
    report = Report(plan.url, plan.model or "", plan.profile, plan.seed, keyed=plan.api_key is not None)
    if plan.other:
        report.against, report.against_model = plan.other.url, plan.other.model or ""
    screen = VerifyScreen(plan.checks)
    try:
        with screen:
            asyncio.run(check_endpoint(plan, report, screen))
    except VerifyFailed as error:
        report.ended = error.message
    except KeyboardInterrupt:
        report.ended = CTRL_C
    shown = presentable(report, plan.api_key, plan.other.api_key if plan.other else None)
    screen.show(shown)
    write_files(plan.files, shown, screen)
    return exit_status(report)


async def check_endpoint(plan: Plan, report: Report, screen: VerifyScreen) -> None:
    budget = Budget(plan.budget)
    async with open_endpoint(plan.url, plan.model or "", plan.api_key, budget, plan.answer_seconds) as endpoint:
        endpoint.on_wait = screen.waiting
        report.model = await choose_model(endpoint)
        screen.note(estimate(plan, report.model))
        async with open_other(plan, budget) as other:
            if other:
                other.endpoint.on_wait = screen.waiting
                report.against_model = await choose_model(other.endpoint)
            await fill_report(report, endpoint, plan.checks, screen.result, other, partial(warn_of_thoughts, screen))


@contextlib.asynccontextmanager
async def open_other(plan: Plan, budget: Budget) -> AsyncIterator[Other | None]:
    """The endpoint to compare with. Both spend the same budget."""
    if plan.other is None:
        yield None
        return
    url, model, api_key = plan.other.url, plan.other.model or "", plan.other.api_key
    async with open_endpoint(url, model, api_key, budget, plan.answer_seconds) as endpoint:
        yield Other(endpoint)


def warn_of_thoughts(screen: VerifyScreen, facts: Facts) -> None:
    """The estimate is without thoughts, since only the survey tells whether the model thinks."""
    if facts.reasons:
        screen.note(f"The model thinks before it answers: up to {THINKING:,} tokens more where a check needs its text.")


async def choose_model(endpoint: Endpoint) -> str:
    """The first that the endpoint lists, unless one is named."""
    endpoint.model = endpoint.model or await first_model(endpoint)
    return endpoint.model


def estimate(plan: Plan, model: str) -> str:
    tokens = SURVEY_TOKENS * (2 if plan.other else 1) + sum(check.tokens for check in plan.checks)
    cost = "" if plan.price is None else f", {tokens * plan.price / 1e6:,.2f} at {plan.price:g} per million"
    limit = "" if plan.budget is None else f"; at most {plan.budget:,}"
    count = f"{len(plan.checks)} {plural(len(plan.checks), 'check')}"
    against = f" against {plan.other.url}" if plan.other else ""
    return f"{count} of {model} at {plan.url}{against}: about {tokens:,} tokens{cost}{limit}."


def require_writable(path: Path) -> None:
    target = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(target, os.W_OK):
        raise VerifyFailed(f"The report {path} can't be written.")


def write_files(files: Mapping[str, Path | None], report: Report, screen: VerifyScreen) -> None:
    """Reports an error of one file, and writes the others."""
    for name, path in files.items():
        if path is not None:
            try:
                path.write_text(FORMATS[name](report), encoding="utf-8")
                screen.note(f"Wrote {path}.")
            except OSError as error:
                screen.error(f"{path} can't be written: {error.strerror}.")
