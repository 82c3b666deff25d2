"""The report as one HTML file: no scripts, nothing from elsewhere, light and dark, fit to print. Everything that the
endpoint sent is escaped text.
"""

import json
import shlex
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from oruel import __version__
from oruel.verify.report.chart_svg import chart_svg, shown_alternatives
from oruel.verify.report.curl import curl_command
from oruel.verify.report.presentable import KEY
from oruel.verify.report.words import (
    cost_words,
    ended_words,
    evidence_words,
    figure_words,
    host_of,
    outcome_counts,
    p_words,
    plural,
    printable,
    verdict_words,
)
from oruel.verify.runner import FALSE_ALARMS, Report
from oruel.verify.verdict import Chart, Exchange, Outcome, Verdict

# A reader can't take in more. The JSON report has the whole exchange.
MAX_SHOWN = 6000
STYLES = ("web/css/theme.css", "verify/report/report.css")
KINDS = {
    Outcome.HONOURED: "good",
    Outcome.SAME: "good",
    Outcome.DIFFERS: "bad",
    Outcome.IGNORED: "bad",
    Outcome.REFUSED: "warn",
    Outcome.CANT_TELL: "unknown",
}


def as_html(report: Report) -> str:
    """`report` is presentable."""
    page = template().render(
        report=report,
        version=__version__,
        date=f"{report.started.day} {report.started:%B %Y, %H:%M} UTC",
        style=Markup("\n".join(resource(name) for name in STYLES)),
        host=host_of(report.url),
        headline=headline(report),
        counts=outcome_counts(report),
        cost=cost_words(report),
        ended=ended_words(report),
        false_alarms=f"{FALSE_ALARMS:.1%}",
        command=repeat_command(report),
    )
    return printable(page) + "\n"


@cache
def template() -> Template:
    environment = Environment(
        loader=FunctionLoader(lambda name: resource(f"verify/report/{name}")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": KINDS.__getitem__,
        "verdict_words": verdict_words,
        "evidence_words": evidence_words,
        "figure": figure_words,
        "p_words": p_words,
        "svg": lambda chart: Markup(chart_svg(chart)),
        "alternatives": alternatives,
        "pretty": pretty,
        "curl": request_as_curl,
    }
    return environment.get_template("report.html.jinja")


def resource(name: str) -> str:
    """A file of this package."""
    return files("oruel").joinpath(name).read_text(encoding="utf-8")


def headline(report: Report) -> str:
    """The most important thing in one short sentence."""
    counts = outcome_counts(report)
    faults, refused, untold = len(report.faults), counts.get(Outcome.REFUSED, 0), counts.get(Outcome.CANT_TELL, 0)
    if report.against and faults:
        return "The endpoints differ"
    if faults:
        return f"{faults} {plural(faults, 'check')} found a fault"
    if not report.results:
        return "The endpoint could not be tested"
    if report.ended:
        return "No fault so far"
    if refused:
        return f"No faults, {refused} {plural(refused, 'parameter')} refused"
    if untold:
        return f"No faults, {untold} {plural(untold, 'check')} undecided"
    return "The endpoints are the same" if report.against else "Everything claimed holds"


def alternatives(chart: Chart, verdict: Verdict) -> list[tuple[str, bool]]:
    """The names of the alternatives that the chart shows, and whether each explains the draws."""
    explain = ["ignored"] if verdict.outcome is Outcome.IGNORED else verdict.how.split(", or ")
    return [(name, verdict.outcome.is_fault and name in explain) for name in shown_alternatives(chart)]


def pretty(answer: Any) -> str:
    """The answer as readable text, shortened. A body that isn't JSON stays as it is."""
    text = answer if isinstance(answer, str) else json.dumps(answer, indent=2, ensure_ascii=False)
    return shorten(text)


def request_as_curl(exchange: Exchange, report: Report) -> str:
    return shorten(curl_command(exchange.url or report.url, exchange.request, keyed=report.keyed))


def shorten(text: str) -> str:
    left = len(text) - MAX_SHOWN
    return text if left <= 0 else f"{text[:MAX_SHOWN]}\n… {left:,} more characters; the JSON report has them all."


def against_options(report: Report) -> str:
    model = f" --against-model {shlex.quote(report.against_model)}" if report.against_model else ""
    return f" --against {shlex.quote(report.against)}{model}" if report.against else ""


def repeat_command(report: Report) -> str:
    """For a POSIX shell. The endpoints may have chosen the models' names, so they are quoted."""
    key = f' --api-key "{KEY}"' if report.keyed else ""
    model = f" --model {shlex.quote(report.model)}" if report.model else ""
    options = f"{model}{key}{against_options(report)}"
    return f"oruel verify {shlex.quote(report.url)}{options} --profile {report.profile.name} --seed {report.seed}"
