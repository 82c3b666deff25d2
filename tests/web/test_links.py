"""The address is a link: it brings back the prompt, the parameters and the seed, and so the same reply."""

import json

import pytest
from playwright.sync_api import expect

from tests.server import RunningServer
from tests.web.conftest import StartVisit
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

SETTINGS = {"temperature": 1.3, "top_p": 0.95, "max_tokens": 30, "stop": ["\n\n"]}


def test_a_link_gives_the_same_reply(server: RunningServer, start_visit: StartVisit) -> None:
    """Also if the first sender set no seed: the page draws one, and the address tells it."""
    first = Playground(start_visit(server.url)).open(system="Be brief. ünïcode & #more=1", **SETTINGS)
    reply = first.text(first.ask(STORY))

    second = Playground(start_visit(server.url))
    second.page.goto(first.page.url)
    second.wait_until_ready()
    assert not second.answers.count(), "opening a link must not send anything"
    assert second.text(second.ask()) == reply
    assert second.last_body == first.last_body


def test_a_link_carries_a_whole_conversation(server: RunningServer, start_visit: StartVisit) -> None:
    first = Playground(start_visit(server.url)).open(seed=7, max_tokens=15)
    first.ask(STORY)
    reply = first.text(first.ask("And then?"))

    second = Playground(start_visit(server.url))
    second.page.goto(first.page.url)
    second.wait_until_ready()
    assert second.text(second.ask()) == reply
    assert second.last_body == first.last_body


def test_copy_link_copies_the_address(server: RunningServer, start_visit: StartVisit) -> None:
    visit = start_visit(server.url, permissions=["clipboard-read", "clipboard-write"])
    playground = Playground(visit).open(seed=7, max_tokens=5)
    playground.ask(STORY)
    playground.button("Copy link").click()
    expect(playground.page.get_by_role("button", name="Copied")).to_be_visible()
    assert visit.page.evaluate("() => navigator.clipboard.readText()") == visit.page.url


def test_a_new_address_in_the_same_tab_is_loaded(playground: Playground) -> None:
    playground.open(temperature=1.5)
    playground.page.evaluate("() => { location.hash = '#prompt=Hello&temperature=0.2' }")
    expect(playground.field("temperature")).to_have_value("0.2")
    expect(playground.prompt).to_have_value("Hello")


def test_what_a_link_says_wrongly_is_named(playground: Playground) -> None:
    playground.open(model="gpt-17", no_such_parameter=1, messages="not a list")
    words = playground.conversation.get_by_role("alert")
    for wrong in ("gpt-17", "no_such_parameter", "not a list of messages"):
        expect(words).to_contain_text(wrong)


def test_hostile_addresses_do_no_harm(playground: Playground) -> None:
    for text in ('"a string"', "[1]", '[{"role": "user", "content": {"deep": 1}}]', "[null]", "__proto__", "%", "{}"):
        playground.open(messages=text, logit_bias=text, tools=text, response_format=text, stop=text, __proto__=text)
        playground.prompt.fill(STORY)
        expect(playground.prompt).to_have_value(STORY)


def test_a_link_never_carries_markup(playground: Playground) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    messages = [{"role": "assistant", "content": hostile}, {"role": "user", "content": hostile}]
    playground.open(messages=messages, system=hostile, model=hostile, **{hostile: hostile})
    expect(playground.answers.first).to_contain_text(hostile)
    expect(playground.page.get_by_role("img")).to_have_count(0)
    assert json.dumps(hostile) not in playground.page.content()
