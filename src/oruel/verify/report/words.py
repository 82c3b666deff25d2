"""A report in words and figures, for the terminal and for files."""

import re
from collections import Counter
from urllib.parse import urlsplit

from oruel.verify.reading import one_line
from oruel.verify.runner import Report
from oruel.verify.verdict import Outcome, Verdict

CONTROLS = dict.fromkeys({*range(32), *range(127, 160), 0xFFFE, 0xFFFF} - {9, 10}, "\N{REPLACEMENT CHARACTER}")


def verdict_words(verdict: Verdict) -> str:
    """As in "differs: the prompt is counted"."""
    return f"{verdict.outcome}: {verdict.how}" if verdict.how else str(verdict.outcome)


def evidence_words(verdict: Verdict) -> str:
    parts = [f"{name} {figure_words(value)}" for name, value in verdict.figures.items()]
    if verdict.p_value is not None and verdict.p_value < 1:
        parts.append(p_words(verdict.p_value))
    if verdict.weak:
        parts.append("weaker: from frequencies or choices alone")
    return ", ".join(parts)


def figure_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case _:
            return quoted(one_line(str(value), 80))


def quoted(text: str) -> str:
    """In quotation marks, unless it is a number, begins with one, or is a single word."""
    return text if re.fullmatch(r"-?\d.*|\w+", text) else f"“{text}”"


def p_words(p_value: float) -> str:
    """The p-values are upper bounds."""
    return f"p ≤ {p_value:.2g}" if p_value >= 1e-300 else "p < 1e-300"


def score_words(report: Report) -> str:
    honoured, told = report.score
    found = "the same" if report.against else "honoured"
    return f"{honoured} of {told} {plural(told, 'check')} {found}"


def outcome_counts(report: Report) -> dict[Outcome, int]:
    """In the order of Outcome, without those that don't occur."""
    counts = Counter(result.verdict.outcome for result in report.results)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}


def cost_words(report: Report) -> str:
    cost = f"{report.tokens:,} tokens in {report.requests:,} {plural(report.requests, 'request')}"
    return f"{cost}, {report.waited:,.1f} s waited on rate limits" if report.waited else cost


def ended_words(report: Report) -> str:
    """Why the run ended early, and after how many checks; empty if it didn't."""
    done = f"after {len(report.results)} of {report.planned} checks" if report.results else "before the first check"
    return f"The run ended early, {done}: {report.ended}" if report.ended else ""


def plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def host_of(url: str) -> str:
    """For titles: the URL without its scheme."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.netloc}{parts.path}" or url


def printable(text: str) -> str:
    """Without the characters that XML 1.0 can't represent, not even escaped, and that HTML doesn't allow."""
    return text.translate(CONTROLS)
