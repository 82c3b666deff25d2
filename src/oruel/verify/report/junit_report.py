"""The report as JUnit XML, which CI systems show: one test case per check. A fault or a refusal is a failure, a check
that can't tell is skipped, and a run that ended early is an error of the suite's own test case.
"""

from xml.etree import ElementTree

from oruel.verify.report.words import (
    cost_words,
    ended_words,
    evidence_words,
    printable,
    score_words,
    verdict_words,
)
from oruel.verify.runner import Report, Result
from oruel.verify.verdict import Outcome

SUITE = "oruel verify"
RUN = "run"


def as_junit(report: Report) -> str:
    """`report` is presentable."""
    outcomes = [result.verdict.outcome for result in report.results]
    counts = {
        "tests": len(outcomes) + bool(report.ended),
        "failures": sum(outcome.is_fault or outcome is Outcome.REFUSED for outcome in outcomes),
        "errors": int(bool(report.ended)),
        "skipped": outcomes.count(Outcome.CANT_TELL),
    }
    numbers = {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", numbers)
    suite = ElementTree.SubElement(root, "testsuite", {"name": SUITE, **numbers})
    suite.set("timestamp", report.started.strftime("%Y-%m-%dT%H:%M:%S"))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in described(report).items():
        ElementTree.SubElement(properties, "property", name=name, value=printable(value))
    for result in report.results:
        add_case(suite, result)
    if report.ended:
        case = ElementTree.SubElement(suite, "testcase", classname=SUITE, name=RUN)
        ElementTree.SubElement(case, "error", message=printable(ended_words(report)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def described(report: Report) -> dict[str, str]:
    return {
        "url": report.url,
        "model": report.model,
        **({"against": report.against, "against_model": report.against_model} if report.against else {}),
        "profile": report.profile.name,
        "seed": str(report.seed),
        "score": score_words(report),
        "cost": cost_words(report),
    }


def add_case(suite: ElementTree.Element, result: Result) -> None:
    check, verdict = result.check, result.verdict
    case = ElementTree.SubElement(suite, "testcase", classname=f"{SUITE}.{check.parameter}", name=check.name)
    message = printable(verdict_words(verdict))
    if verdict.outcome is Outcome.CANT_TELL:
        ElementTree.SubElement(case, "skipped", message=message)
    elif not verdict.outcome.holds:
        failure = ElementTree.SubElement(case, "failure", message=message, type=str(verdict.outcome))
        failure.text = printable(f"{check.question}\n{check.method}\n{evidence_words(verdict)}")
    elif evidence_words(verdict):
        ElementTree.SubElement(case, "system-out").text = printable(evidence_words(verdict))
