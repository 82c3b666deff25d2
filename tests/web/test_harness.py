"""The harness notices what the browser tests promise to notice. Otherwise they would pass for nothing."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Route

from tests.web.accessibility import AXE, violations
from tests.web.conftest import StartVisit
from tests.web.tasks import longest_task
from tests.web.visit import Visit

ORIGIN = "http://stub.test"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; require-trusted-types-for 'script'"

BUSY = "var done = 0; function busy() { for (let i = 0; i < 3e7; i++) done += Math.sqrt(i) }"

Open = Callable[..., Visit]


@pytest.fixture
def open_stub(start_visit: StartVisit) -> Open:
    def open_stub(html: str, *, policy: str = "", script: str = "") -> Visit:
        visit = start_visit(ORIGIN)

        def answer_page(route: Route) -> None:
            headers = {"content-type": "text/html", "content-security-policy": policy}
            route.fulfill(headers=headers, body=f"<!doctype html><title>Stub</title>{html}")

        def answer_script(route: Route) -> None:
            route.fulfill(content_type="text/javascript", body=script)

        visit.context.route(f"{ORIGIN}/", answer_page)
        visit.context.route(f"{ORIGIN}/script.js", answer_script)
        visit.page.goto(f"{ORIGIN}/")
        return visit

    return open_stub


def test_a_good_page_has_no_problems(open_stub: Open) -> None:
    visit = open_stub("<p>Hello</p><script src=/script.js></script>", policy=POLICY, script="document.title = 'Ran'")
    assert visit.page.title() == "Ran"
    visit.check()
    assert [request.url for request in visit.requests] == [f"{ORIGIN}/", f"{ORIGIN}/script.js"]


@pytest.mark.parametrize(
    ("script", "problem", "then"),
    [
        ("throw new Error('lost')", "exception: Error: lost", ""),
        ("Promise.reject(new Error('lost'))", "exception: Error: lost", ""),
        ("console.error('lost')", "console error: lost", ""),
        ("console.warn('lost')", "console warning: lost", ""),
        ("fetch('/gone').catch(() => {})", "console error: Failed to load resource", ""),
        ("new WebSocket('ws://stub.test/')", "WebSocket.*ws://stub.test/", ""),
        ("navigator.sendBeacon('http://example.com/')", "another origin: POST http://example.com/", "ERR_NAME"),
    ],
)
def test_what_a_script_does_wrong_is_a_problem(open_stub: Open, script: str, problem: str, then: str) -> None:
    visit = open_stub("<script src=/script.js></script>", script=script)
    visit.expect_problem(problem)
    visit.expect_problem(then)


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<p style='color: red'>Hello</p>",
        "<img alt='' src=/script.js onerror='alert(1)'>",
        "<script src=/script.js></script>",
    ],
    ids=["inline script", "inline style", "inline handler", "HTML from a string"],
)
def test_what_the_content_security_policy_blocks_is_a_problem(open_stub: Open, html: str) -> None:
    visit = open_stub(html, policy=POLICY, script="document.head.innerHTML = '<p>Hello'")
    visit.expect_problem("violates the following Content Security Policy|requires 'TrustedHTML'")


def test_a_request_to_another_origin_goes_nowhere_and_is_a_problem(open_stub: Open) -> None:
    visit = open_stub("<img alt='' src=http://example.com/pixel.png>")
    visit.expect_problem("request to another origin: GET http://example.com/pixel.png")
    visit.expect_problem("ERR_NAME_NOT_RESOLVED")


def test_a_test_that_expects_a_problem_fails_without_it(open_stub: Open) -> None:
    visit = open_stub("<p>Hello</p>")
    visit.expect_problem("lost")
    with pytest.raises(AssertionError, match="no problem matched"):
        visit.check()
    visit.expected.clear()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core isn't installed (npm ci)")
def test_an_image_without_a_text_is_an_accessibility_violation(open_stub: Open) -> None:
    visit = open_stub("<main><h1>Hello</h1><img src=/script.js></main>", policy=POLICY)
    visit.expect_problem("img-src|default-src")
    assert [line.split(":")[0] for line in violations(visit.page)] == ["html-has-lang", "image-alt"]


def test_a_busy_script_is_a_long_task(browser: Browser, open_stub: Open) -> None:
    visit = open_stub("<script src=/script.js></script>", script=BUSY)
    with longest_task(browser, visit.page) as idle:
        visit.page.evaluate("() => 1")
    with longest_task(browser, visit.page) as busy:
        visit.page.evaluate("() => busy()")
    assert 0 < idle.milliseconds < busy.milliseconds
    assert visit.page.evaluate("() => done")
