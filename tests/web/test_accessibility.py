"""axe-core finds no violation, in any colour scheme and width, in the states that the page can be in."""

import os
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.server import RunningServer
from tests.web.accessibility import AXE, violations
from tests.web.conftest import StartVisit
from tests.web.playground import STORY, Playground

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not AXE.exists() and not os.environ.get("CI"), reason="axe-core isn't installed (npm ci)"),
]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


@pytest.fixture(params=LOOKS)
def playground(server: RunningServer, start_visit: StartVisit, request: pytest.FixtureRequest) -> Playground:
    return Playground(start_visit(server.url, **LOOKS[request.param]))


def test_the_first_page_has_no_violation(playground: Playground) -> None:
    playground.open()
    assert not violations(playground.page)


def test_a_conversation_with_a_picked_token_has_no_violation(playground: Playground) -> None:
    playground.open(seed=7, max_tokens=30, temperature=1.6, top_k=40, min_p=0.01).ask(STORY)
    playground.show_tokens()
    playground.pick(5)
    assert not violations(playground.page)


def test_the_panel_and_its_previews_have_no_violation(playground: Playground) -> None:
    playground.open(seed=7, max_tokens=10).ask(STORY)
    playground.show_tokens()
    playground.pick(4)
    playground.show_parameters()
    playground.open_groups()
    playground.field("top_k").fill("3")
    playground.parameters.get_by_role("button", name="About top_k").click()
    playground.choose("response_format", "json_schema")
    playground.parameters.get_by_role("button", name="get_weather", exact=True).click()
    # On a phone, the rest of the page, with its heading, is inert while the sheet is open.
    assert not violations(playground.page, besides=["page-has-heading-one"])
    playground.parameters.get_by_role("tab", name="Code").click()
    assert not violations(playground.page, besides=["page-has-heading-one"])


def test_an_error_has_no_violation(playground: Playground) -> None:
    playground.visit.expect_problem("status of 400")
    answer = playground.open(temperature=9).ask(STORY)
    expect(answer.get_by_role("alert")).to_be_visible()
    assert not violations(playground.page)


def test_the_list_of_conversations_has_no_violation(playground: Playground) -> None:
    playground.open(max_tokens=5).ask(STORY)
    playground.page.get_by_role("button", name="conversations").click()
    expect(playground.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)
    assert not violations(playground.page)
