"""The report as JSON: everything that the run found, with all requests and answers.

SCHEMA counts up when a field changes its meaning or goes away; new fields may appear without it.
"""

import json
import math
from dataclasses import asdict
from typing import Any

from oruel import __version__
from oruel.verify.exit_status import exit_status
from oruel.verify.report.words import outcome_counts
from oruel.verify.runner import Report, Result
from oruel.verify.verdict import Exchange

SCHEMA = 1


def as_json(report: Report) -> str:
    """`report` is presentable."""
    return json.dumps(finite(as_object(report)), indent=2, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """A copy in which numbers that JSON can't write are strings: some checks send Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def as_object(report: Report) -> dict[str, Any]:
    honoured, told = report.score
    return {
        "schema": SCHEMA,
        "oruel": __version__,
        "url": report.url,
        "model": report.model,
        "against": {"url": report.against, "model": report.against_model} if report.against else None,
        "profile": report.profile.name,
        "seed": report.seed,
        "started": report.started.isoformat(timespec="seconds"),
        "exit_status": int(exit_status(report)),
        "ended_early": report.ended or None,
        "checks_planned": report.planned,
        "score": {"honoured": honoured, "told": told},
        "outcomes": {str(outcome): count for outcome, count in outcome_counts(report).items()},
        "cost": {"tokens": report.tokens, "requests": report.requests, "seconds_waited": round(report.waited, 3)},
        "endpoint": {**asdict(report.facts), "accepts": sorted(report.facts.accepts)},
        "checks": [check_object(result) for result in report.results],
    }


def check_object(result: Result) -> dict[str, Any]:
    check, verdict = result.check, result.verdict
    return {
        "name": check.name,
        "parameter": check.parameter,
        "question": check.question,
        "method": check.method,
        "outcome": str(verdict.outcome),
        "how": verdict.how,
        "figures": verdict.figures,
        "p_value": verdict.p_value,
        "weak": verdict.weak,
        "charts": [asdict(chart) for chart in verdict.charts],
        "exchanges": [exchange_object(exchange) for exchange in verdict.exchanges],
    }


def exchange_object(exchange: Exchange) -> dict[str, Any]:
    """`url` only where it isn't that of the report."""
    return {name: value for name, value in asdict(exchange).items() if name != "url" or value}
