"""What a model says is text, whatever it says."""

import pytest
from playwright.sync_api import expect

from tests.stub_server import DONE, event
from tests.web.answers import HEAD, answer_with, stream
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

HOSTILE = [
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "<svg onload=\"document.title='owned'\"><style>* {display: none}</style>",
    "</div></article><iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    "<a href=\"javascript:document.title='owned'\">[click](javascript:alert(1))</a>",
    "&lt;b&gt; {{7*7}} ${7*7} `rm -rf`",
    "\u202e\u2066right to left\u2069\u202c",
    "\x00\x1b[31m\x07\r\n\t",
    "a\u0300" + "\u0300" * 300,
    "W" * 5000,
]


def test_hostile_replies_are_shown_as_text(playground: Playground) -> None:
    page = playground.open().page
    title = page.title()
    for text in HOSTILE:
        answer_with(playground.visit, stream(["Say ", text, " again: ", text]))
        answer = playground.ask(STORY)
        assert playground.text(answer).count(text.strip()) == 2, text
        playground.pick(1)
        expect(playground.inspector.get_by_role("table")).to_be_visible()
        assert page.title() == title, text
        assert page.locator("img, iframe, a[href^=javascript], article script").count() == 0, text
        width = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"the page scrolls sideways: {text}"


def test_a_hostile_call_is_shown_as_text(playground: Playground) -> None:
    function = {"name": "<img src=x onerror=alert(1)>", "arguments": '{"a": "<script>alert(1)</script>"}'}
    calls = [{"index": 0, "id": "call-1", "type": "function", "function": function}]
    delta = {"role": "assistant", "content": None, "tool_calls": calls}
    chunk = {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}], "usage": None}
    answer_with(playground.visit, event(chunk) + DONE)
    answer = playground.open().ask(STORY)
    expect(answer).to_contain_text(function["name"])
    expect(answer).to_contain_text("<script>alert(1)</script>")
    assert playground.page.locator("img, article script").count() == 0
