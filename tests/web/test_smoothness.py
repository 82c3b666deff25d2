"""The page stays responsive: no task keeps its thread for more than 200 ms."""

import pytest
from playwright.sync_api import Browser, expect

from tests.web.answers import answer_with, stream
from tests.web.playground import STORY, Playground
from tests.web.tasks import longest_task

pytestmark = pytest.mark.model

MOST_MILLISECONDS = 200
TOKENS = 2000


def test_the_first_paint_is_smooth(browser: Browser, playground: Playground) -> None:
    with longest_task(browser, playground.page) as longest:
        playground.open()
    assert longest.milliseconds <= MOST_MILLISECONDS


def test_a_reply_of_2000_tokens_is_smooth(browser: Browser, playground: Playground) -> None:
    playground.open()
    answer_with(playground.visit, stream([f" word{number}" for number in range(TOKENS)]))
    with longest_task(browser, playground.page) as longest:
        answer = playground.ask(STORY)
        expect(playground.tokens).to_have_count(TOKENS)
    expect(answer).to_contain_text(f"word{TOKENS - 1}")
    assert longest.milliseconds <= MOST_MILLISECONDS


def test_tokens_of_a_long_reply_are_picked_and_previewed_smoothly(browser: Browser, playground: Playground) -> None:
    playground.open()
    answer_with(playground.visit, stream([f" word{number}" for number in range(TOKENS)]))
    playground.ask(STORY)
    expect(playground.tokens).to_have_count(TOKENS)
    with longest_task(browser, playground.page) as longest:
        playground.tokens.nth(TOKENS // 2).focus()
        for key in ("ArrowRight", "ArrowDown", "Home", "End"):
            playground.page.keyboard.press(key)
        for _ in range(5):
            playground.slider("temperature").press("ArrowRight")
    assert longest.milliseconds <= MOST_MILLISECONDS
