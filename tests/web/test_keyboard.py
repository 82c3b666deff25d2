"""Everything can be done with the keyboard alone."""

import pytest
from playwright.sync_api import Locator, expect

from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

MOST_TABS = 150


def tab_to(playground: Playground, target: Locator, *, key: str = "Tab") -> None:
    for _ in range(MOST_TABS):
        if target.evaluate("element => element === document.activeElement"):
            return
        playground.page.keyboard.press(key)
    raise AssertionError(f"{MOST_TABS} times {key} don't lead to {target}")


def test_a_prompt_is_sent_and_a_token_picked_with_the_keyboard(playground: Playground) -> None:
    keyboard = playground.open(seed=7, max_tokens=20).page.keyboard
    expect(playground.prompt).to_be_focused()
    keyboard.type(STORY)
    keyboard.press("Enter")
    playground.finished()
    picked = playground.page.get_by_role("toolbar").get_by_role("button", pressed=True)
    tab_to(playground, picked)
    keyboard.press("Home")
    for index in (1, 2, 3):
        keyboard.press("ArrowRight")
        expect(playground.tokens.nth(index)).to_be_focused()
        expect(playground.inspector.get_by_role("heading")).to_contain_text(f"token {index + 1},")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowUp")
    keyboard.press("End")
    expect(playground.tokens.last).to_be_focused()
    keyboard.press("ArrowRight")
    expect(playground.tokens.last).to_be_focused()


def test_another_candidate_is_chosen_with_the_keyboard(playground: Playground) -> None:
    keyboard = playground.open(seed=7, max_tokens=8).page.keyboard
    playground.ask(STORY)
    playground.pick(0)
    candidate = playground.inspector.get_by_role("button", name="Continue with token").first
    tab_to(playground, candidate)
    keyboard.press("Enter")
    expect(playground.answers.last).to_contain_text("2 of 2")


def test_shift_and_enter_start_a_line(playground: Playground) -> None:
    keyboard = playground.open(max_tokens=5).page.keyboard
    keyboard.type("One")
    keyboard.press("Shift+Enter")
    keyboard.type("Two")
    keyboard.press("Enter")
    playground.finished()
    assert playground.last_body["messages"][0]["content"] == "One\nTwo"


def test_escape_stops_a_reply(playground: Playground) -> None:
    playground.open(seed=7, logit_bias={"2": -100}).send(STORY)
    expect(playground.answers.last).to_contain_text("Long ago")
    playground.page.keyboard.press("Escape")
    assert playground.facts(playground.finished())["end"] == "stopped by you"


def test_the_first_link_of_the_page_skips_to_the_prompt(playground: Playground) -> None:
    playground.open()
    skip = playground.page.get_by_role("link", name="Skip to the prompt")
    tab_to(playground, skip, key="Shift+Tab")
    expect(skip).to_be_in_viewport()
    playground.page.keyboard.press("Enter")
    expect(playground.prompt).to_be_focused()
    expect(playground.prompt).to_have_value("")


def test_nothing_traps_the_focus(playground: Playground) -> None:
    """Tab leads from the prompt through the whole page and back to it."""
    playground.open(seed=7, max_tokens=10).ask(STORY)
    playground.prompt.focus()
    playground.page.keyboard.press("Tab")
    tab_to(playground, playground.prompt)
    new = playground.page.get_by_role("navigation").get_by_role("button", name="New")
    tab_to(playground, new, key="Shift+Tab")


def test_dialogs_take_and_return_the_focus(playground: Playground) -> None:
    playground.open()
    opener = playground.button("Conversations")
    opener.focus()
    playground.page.keyboard.press("Enter")
    dialog = playground.page.get_by_role("dialog")
    expect(dialog.locator(":focus")).to_be_visible()
    playground.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
