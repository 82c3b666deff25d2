"""The reports of a run, as JSON, HTML and JUnit XML."""

import json
import re
import shlex
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.verify.exit_status import ExitStatus, exit_status
from oruel.verify.report.chart_svg import chart_svg
from oruel.verify.report.curl import curl_command
from oruel.verify.report.html_report import as_html
from oruel.verify.report.intervals import wilson
from oruel.verify.report.json_report import as_json
from oruel.verify.report.junit_report import as_junit
from oruel.verify.report.presentable import presentable
from oruel.verify.report.words import evidence_words, verdict_words
from oruel.verify.runner import Report
from oruel.verify.verdict import Bar, Chart, Exchange, Verdict, differs, honoured
from tests.verify.reported import (
    CHART,
    DIFFERS,
    EVERY_OUTCOME,
    EXCHANGE,
    HONOURED,
    IGNORED,
    REFUSED,
    REQUEST,
    SCRIPT,
    UNTOLD,
    hostile,
    report,
)

KEY = "sk-very/secret+key=="
FORMATS = {"json": as_json, "html": as_html, "junit": as_junit}
SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """The elements of a page, and its text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._styled = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._styled = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._styled = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._styled else data


def test_json_has_everything_that_was_found() -> None:
    found = json.loads(as_json(report(*EVERY_OUTCOME, ended="The budget is spent.")))
    assert {name: found[name] for name in ("schema", "url", "model", "profile", "seed", "started")} == {
        "schema": 1,
        "url": "https://api.example/v1",
        "model": "m",
        "profile": "oruel",
        "seed": 7,
        "started": "2026-11-28T01:02:03+00:00",
    }
    assert (found["exit_status"], found["ended_early"]) == (1, "The budget is spent.")
    assert found["score"] == {"honoured": 1, "told": 4}
    assert found["outcomes"] == dict.fromkeys(["honoured", "differs", "ignored", "refused", "can't tell"], 1)
    assert found["cost"] == {"tokens": 1234, "requests": 56, "seconds_waited": 1.5}
    assert found["endpoint"]["accepts"] == ["top_k"]
    honoured, differs, *_ = found["checks"]
    assert (honoured["name"], honoured["parameter"], honoured["question"]) == (
        "check_0.aspect",
        "check_0",
        "Question 0?",
    )
    assert honoured["charts"][0]["bars"][0] == {"label": "Long", "expected": 0.6, "count": 30}
    assert honoured["charts"][0]["rejected"]["ignored"] == [0.3, 0.2, 0.5]
    assert differs["exchanges"] == [{"request": REQUEST, "status": 200, "answer": EXCHANGE.answer}]
    assert (differs["how"], differs["p_value"], differs["weak"]) == ("the prompt is counted", 2e-14, False)


@pytest.mark.parametrize(
    ("verdicts", "ended", "status"),
    [
        ((HONOURED,), "", ExitStatus.HOLDS),
        ((HONOURED, DIFFERS, REFUSED, UNTOLD), "", ExitStatus.FAULT),
        ((IGNORED,), "", ExitStatus.FAULT),
        ((DIFFERS,), "The budget is spent.", ExitStatus.FAULT),
        ((DIFFERS,), "Ctrl-C", ExitStatus.INTERRUPTED),
        ((HONOURED, REFUSED), "The budget is spent.", ExitStatus.INCOMPLETE),
        ((), "Nothing listens.", ExitStatus.INCOMPLETE),
        ((REFUSED, UNTOLD, HONOURED), "", ExitStatus.REFUSED),
        ((UNTOLD, HONOURED), "", ExitStatus.UNDECIDED),
    ],
)
def test_the_exit_status_is_that_of_the_most_severe_finding(
    verdicts: tuple[Verdict, ...], ended: str, status: ExitStatus
) -> None:
    assert exit_status(report(*verdicts, ended=ended)) is status


def test_verdicts_and_evidence_in_words() -> None:
    assert list(map(verdict_words, EVERY_OUTCOME)) == [
        "honoured",
        "differs: the prompt is counted",
        "ignored: the draws follow the distribution without it",
        "refused: status 400",
        "can't tell: the endpoint reports no log-probabilities",
    ]
    assert evidence_words(HONOURED) == "draws 40, top_k 2, prompt “Tell me a story.”, p ≤ 0.5"
    assert evidence_words(DIFFERS) == "odds 0.1353, p ≤ 2e-14"
    assert evidence_words(honoured(p_value=0.0)) == "p < 1e-300"
    assert evidence_words(honoured(figures={"large": 12345, "same": True, "lowest": "-2"})) == (
        "large 12345, same yes, lowest -2"
    )
    assert evidence_words(IGNORED) == "weaker: from frequencies or choices alone"


def test_junit_counts_faults_refusals_and_undecided_checks() -> None:
    root = ElementTree.fromstring(as_junit(report(*EVERY_OUTCOME, ended="Nothing answers.")))
    [suite] = root
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "3",
        "errors": "1",
        "skipped": "1",
    }
    kinds = {case.get("name"): [(child.tag, child.get("message")) for child in case] for case in suite.iter("testcase")}
    assert kinds["check_0.aspect"] == [("system-out", None)]
    assert kinds["check_1.aspect"] == [("failure", "differs: the prompt is counted")]
    assert kinds["check_3.aspect"] == [("failure", "refused: status 400")]
    assert kinds["check_4.aspect"] == [("skipped", "can't tell: the endpoint reports no log-probabilities")]
    assert kinds["run"] == [("error", "The run ended early, after 5 of 6 checks: Nothing answers.")]


def test_the_page_has_a_section_for_each_check_with_its_evidence() -> None:
    page = Page(as_html(report(*EVERY_OUTCOME)))
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "article"]
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert sections == [f"check_{n}.aspect" for n in range(5)]
    assert {f"#{name}" for name in sections} == links
    for text in ("Question 3?", "Method 4.", "2 checks found a fault", "1of 4 honoured", "ignored: explains the draws"):
        assert text in page.text, text
    assert sum(tag == "svg" for tag, _ in page.tags) == 2
    assert "Authorization: Bearer $API_KEY" in page.text


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = as_html(report(*EVERY_OUTCOME))
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"@import|url\(", text)
    assert all(name not in attributes for _, attributes in page.tags for name in ("src", "srcset", "data", "action"))
    [policy] = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")


def test_everything_from_the_endpoint_is_escaped_text() -> None:
    page = Page(as_html(presentable(hostile(), None)))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert "\0" not in page.text
    suite = ElementTree.fromstring(as_junit(presentable(hostile(), None)))
    assert "<script>alert(1)</script>" in str(suite.find(".//failure").get("message"))  # type: ignore[union-attr]


def test_an_endpoint_that_could_not_be_tested_has_a_page_too() -> None:
    page = Page(as_html(report(ended="https://api.example/v1 can't be reached: refused.")))
    assert "The endpoint could not be tested" in page.text
    assert "before the first check: https://api.example/v1 can't be reached: refused." in page.text


def test_the_key_is_in_no_report_even_if_the_endpoint_repeats_it() -> None:
    said = {KEY: [f"Bearer {KEY}", {"x": KEY}]}
    echoing = differs(f"it says {KEY}", figures={KEY: KEY}, exchanges=(Exchange({"user": KEY}, 401, said),))
    leaking = report(echoing, ended=f"401: {KEY} is invalid")
    for name, write in FORMATS.items():
        text = write(presentable(leaking, KEY))
        assert "sk-very" not in text, name
        assert "$API_KEY" in text, name


def test_a_short_key_is_hidden_where_it_is_a_word() -> None:
    shown = presentable(report(differs("none of nonemany: none")), "none")
    assert shown.results[0].verdict.how == "$API_KEY of nonemany: $API_KEY"


def test_a_password_in_the_url_is_hidden() -> None:
    made = report(HONOURED)
    made.url = "https://user:hunter2!@api.example/v1"
    for write in FORMATS.values():
        assert "hunter2" not in write(presentable(made, None))


def sent_by(command: str) -> list[str]:
    """The arguments that a shell passes to curl, whose place a function takes that prints them."""
    script = f'curl() {{ for one in "$@"; do printf \'%s\\0\' "$one"; done; }}\nAPI_KEY=k3y\n{command}'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return shell.stdout.decode().split("\0")[:-1]


def test_the_curl_command_repeats_the_request() -> None:
    arguments = sent_by(curl_command("https://api.example/v1", REQUEST, keyed=True))
    assert arguments[1] == "https://api.example/v1/chat/completions"
    assert "Authorization: Bearer k3y" in arguments
    assert json.loads(arguments[-1]) == REQUEST
    assert "Authorization" not in curl_command("https://api.example/v1", REQUEST, keyed=False)


def test_the_command_that_repeats_a_run_is_safe_to_paste_whatever_the_model_is_called() -> None:
    page = Page(as_html(report(HONOURED, model="m'; touch pwned; '")))
    [line] = [line for line in page.text.splitlines() if line.strip().startswith("oruel verify")]
    words = ["oruel", "verify", "https://api.example/v1", "--model", "m'; touch pwned; '", "--api-key", "$API_KEY"]
    assert shlex.split(line) == [*words, "--profile", "oruel", "--seed", "7"]


def test_infinity_is_repeated_as_it_was_sent() -> None:
    sent = presentable(
        report(differs("taken as 2", exchanges=(Exchange({"temperature": float("inf")}, 200, {}),))), None
    )
    assert "-d '{\"temperature\": Infinity}'" in Page(as_html(sent)).text
    assert json.loads(as_json(sent))["checks"][0]["exchanges"][0]["request"] == {"temperature": "Infinity"}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3))
def test_the_curl_command_repeats_any_request(request: dict[str, object]) -> None:
    words = shlex.split(curl_command("http://h/v1", request, keyed=False).replace("\\\n", ""))
    assert json.loads(words[-1]) == request


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I.
@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_equal_published_ones(count: int, total: int, low: float, high: float) -> None:
    assert wilson(count, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(total - count, total) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def drawing(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart_svg(chart))


def bars(svg: ElementTree.Element, kind: str) -> list[float]:
    return [float(str(one.get("width"))) for one in svg.iter("rect") if str(one.get("class")).split()[-1] == kind]


def test_a_chart_draws_shares_and_alternatives_to_one_scale() -> None:
    svg = drawing(CHART)
    expected = bars(svg, "expected")
    scale = expected[0] / 0.6
    assert expected == pytest.approx([0.6 * scale, 0.4 * scale, 0.0], abs=0.1)
    # The alternative that is nearer to 30 of 40 draws comes first.
    assert bars(svg, "a0") == pytest.approx([0.5 * scale, 0.3 * scale, 0.2 * scale], abs=0.1)
    assert bars(svg, "a1") == pytest.approx([0.3 * scale, 0.2 * scale, 0.5 * scale], abs=0.1)
    dots = [float(str(one.get("cx"))) for one in svg.iter("circle")]
    assert [dot - dots[2] for dot in dots] == pytest.approx([0.75 * scale, 0.25 * scale, 0.0], abs=0.1)
    assert [text.text for text in svg.iter("text") if text.get("class") == "token"] == ["Long", "␣On", "(other)"]


def test_a_long_chart_sums_up_its_last_tokens() -> None:
    long = Chart("long", tuple(Bar(f"t{n}", 0.025, 1) for n in range(40)), {"x": (0.025,) * 40})
    svg = drawing(long)
    labels = [text.text for text in svg.iter("text") if text.get("class") == "token"]
    assert labels == [*(f"t{n}" for n in range(13)), "(27 others)"]
    assert bars(svg, "expected")[-1] / bars(svg, "expected")[0] == pytest.approx(27, rel=0.01)


@pytest.mark.parametrize("chart", [Chart("empty", ()), Chart("no draws", (Bar("a", 1.0, 0),), {"short": ()})])
def test_charts_without_bars_or_draws_can_be_drawn(chart: Chart) -> None:
    assert drawing(chart) is not None


texts = st.text(max_size=8) | st.sampled_from([SCRIPT, KEY])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
charts = st.builds(
    Chart,
    texts,
    st.lists(st.builds(Bar, texts, st.floats(0, 1), st.integers(0, 500)), max_size=20).map(tuple),
    st.dictionaries(texts, st.lists(st.floats(0, 1), max_size=20).map(tuple), max_size=4),
)
verdicts = st.builds(
    Verdict,
    st.sampled_from([verdict.outcome for verdict in EVERY_OUTCOME]),
    texts,
    st.dictionaries(texts, st.integers() | st.floats() | texts, max_size=3),
    st.none() | st.floats(0, 1),
    st.lists(st.builds(Exchange, st.dictionaries(texts, anything), st.none() | st.just(200), anything), max_size=2).map(
        tuple
    ),
    st.lists(charts, max_size=2).map(tuple),
    st.booleans(),
)


def write_all(found: Report) -> None:
    """Writes the report in all formats, and reads it with each format's parser."""
    shown = presentable(found, KEY)
    json.loads(as_json(shown))
    ElementTree.fromstring(as_junit(shown))
    assert not {"script", "img"} & {tag for tag, _ in Page(as_html(shown)).tags}
    for write in FORMATS.values():
        assert KEY.encode() not in write(shown).encode()


@settings(max_examples=60, deadline=None)
@given(st.lists(verdicts, max_size=3), texts)
def test_any_findings_can_be_reported(found: list[Verdict], ended: str) -> None:
    write_all(report(*found, ended=ended))
