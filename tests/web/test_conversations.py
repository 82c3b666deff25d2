"""Conversations stay in the browser, and leave it as a file."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.web.answers import answer_with, stream
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model


def stored(playground: Playground) -> Locator:
    """The dialog with the conversations of this browser."""
    playground.button("Conversations").click()
    return playground.page.get_by_role("dialog", name="Conversations")


def test_a_conversation_survives_a_reload(playground: Playground) -> None:
    reply = playground.text(playground.open(seed=7, max_tokens=20).ask(STORY))
    playground.page.reload()
    playground.wait_until_ready()
    stored(playground).get_by_role("button", name=STORY).first.click()
    assert playground.text(playground.finished()) == reply
    expect(playground.tokens).to_have_count(20)
    playground.pick(3)
    assert playground.candidates()


def test_a_long_answer_that_is_complete_survives_a_reload_at_once(playground: Playground) -> None:
    playground.open()
    answer_with(playground.visit, stream([f" word{number}" for number in range(2000)]))
    playground.ask(STORY)
    playground.page.reload()
    playground.wait_until_ready()
    stored(playground).get_by_role("button", name=STORY).first.click()
    expect(playground.tokens).to_have_count(2000)


def test_the_list_tells_conversations_apart_and_deletes_them(playground: Playground) -> None:
    playground.open(max_tokens=5).ask(STORY)
    playground.page.get_by_role("navigation").get_by_role("button", name="New").click()
    expect(playground.answers).to_have_count(0)
    playground.ask("Tell me a joke.")
    dialog = stored(playground)
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    dialog.get_by_role("button", name="Delete “Tell me a joke.”").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    expect(dialog.get_by_role("listitem")).to_contain_text(STORY)
    playground.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(playground.answers).to_have_count(0)


def test_the_export_has_everything_that_was_asked_and_came_back(playground: Playground, tmp_path: Path) -> None:
    answer = playground.open(seed=7, max_tokens=20, temperature=1.1).ask(STORY)
    with playground.page.expect_download() as started:
        playground.button("Export").click()
    file = tmp_path / "conversation.json"
    started.value.save_as(file)
    assert started.value.suggested_filename.endswith(".json")
    exported = json.loads(file.read_text())
    asked, answered = exported["turns"]
    assert asked["content"] == STORY
    [version] = answered["answers"]
    assert version["values"] == {"seed": 7, "max_tokens": 20, "temperature": 1.1}
    assert version["receipt"]["requestId"] == playground.facts(answer)["request"]
    assert version["choices"][0]["content"] == playground.text(answer)
    assert len(version["choices"][0]["trace"]) == version["usage"]["completion_tokens"] == 20


def test_conversations_of_another_browser_are_not_there(playground: Playground) -> None:
    playground.open()
    expect(stored(playground).get_by_role("listitem")).to_have_count(0)
