"""Two settings run side by side: the page marks the first token that differs, and says which step decided."""

from typing import Any

import httpx2
import pytest
from playwright.sync_api import Locator, expect

from tests.server import RunningServer
from tests.web.answers import COMPLETIONS, answer_with, stream
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

COMMON = {"prompt": STORY, "seed": 7, "max_tokens": 60}


class Comparison:
    """The comparison of a page that was opened with `state`; `change` is a suggestion for B."""

    def __init__(self, playground: Playground, change: str = "", **state: Any) -> None:
        self.visit = playground.visit
        self.page = playground.page
        fields = {name: value for name, value in {**COMMON, **state}.items() if value is not None}
        playground.open(**fields).button("Compare").click()
        self.verdict = self.page.get_by_role("region", name="The first difference")
        if change:
            self.page.get_by_role("button", name=change, exact=True).click()

    def side(self, name: str) -> Locator:
        return self.page.get_by_role("article", name=f"Answer {name}", exact=True)

    def run(self) -> "Comparison":
        self.page.get_by_role("button", name="Run both").click()
        expect(self.page.get_by_role("button", name="Run both")).to_be_visible()
        return self

    def bodies(self) -> list[dict[str, Any]]:
        """The requests of A and B."""
        return sorted(self.visit.bodies(COMPLETIONS), key=lambda body: body != self.visit.bodies(COMPLETIONS)[0])


def tokens(server: RunningServer, body: dict[str, Any]) -> list[str]:
    response = httpx2.post(f"{server.url}{COMPLETIONS}", json=body | {"stream": False}, timeout=60)
    return [each["token"] for each in response.json()["choices"][0]["trace"]]


@pytest.mark.parametrize(
    ("change", "name", "value", "reason"),
    [
        ("temperature 1.5", "temperature", 1.5, "temperature moved the intervals of the draw"),
        ("temperature 0", "temperature", 0, "At temperature 0, B took the most probable token"),
        ("top_p 0.5", "top_p", 0.5, "In B, top_p removed"),
        ("frequency_penalty 1", "frequency_penalty", 1, "frequency_penalty moved the intervals of the draw"),
    ],
)
def test_the_first_difference_is_marked_and_explained(
    playground: Playground, server: RunningServer, change: str, name: str, value: float, reason: str
) -> None:
    comparison = Comparison(playground, change).run()
    a, b = comparison.bodies()
    assert b == a | {name: value}
    assert a["seed"] == 7
    of_a, of_b = tokens(server, a), tokens(server, b)
    first = next(index for index, pair in enumerate(zip(of_a, of_b, strict=False)) if pair[0] != pair[1])
    expect(comparison.verdict).to_contain_text(f"First difference at token {first + 1}")
    expect(comparison.verdict).to_contain_text(reason)
    for side, texts in {"A": of_a, "B": of_b}.items():
        marked = comparison.side(side).get_by_role("button", pressed=True)
        expect(marked).to_have_attribute("data-index", str(first))
        expect(marked).to_contain_text(texts[first].strip())


def test_a_token_before_the_difference_can_be_compared(playground: Playground) -> None:
    comparison = Comparison(playground, "top_p 0.5").run()
    comparison.side("A").get_by_role("toolbar").get_by_role("button").nth(2).click()
    expect(comparison.verdict).to_contain_text("Token 3 is the same")
    expect(comparison.side("B").get_by_role("button", pressed=True)).to_have_attribute("data-index", "2")


def test_equal_settings_give_equal_answers_even_without_a_seed(playground: Playground) -> None:
    comparison = Comparison(playground, seed=None).run()
    expect(comparison.verdict).to_contain_text("Both answers are equal")
    seeds = {body["seed"] for body in comparison.bodies()}
    assert len(seeds) == 1


def test_a_setting_of_one_side_is_only_sent_for_it(playground: Playground) -> None:
    comparison = Comparison(playground, temperature=0.3)
    comparison.side("B").get_by_text("Settings").click()
    comparison.side("B").get_by_role("textbox", name="top_k").fill("5")
    expect(comparison.side("A").get_by_role("list", name="Differing")).to_have_text("top_k no limit")
    expect(comparison.side("B").get_by_role("list", name="Differing")).to_have_text("top_k 5")
    a, b = comparison.run().bodies()
    assert (a["temperature"], b["temperature"]) == (0.3, 0.3)
    assert "top_k" not in a
    assert b["top_k"] == 5


def test_a_follows_the_pages_parameters(playground: Playground) -> None:
    comparison = Comparison(playground)
    playground.field("temperature").fill("1.2")
    expect(comparison.side("A").get_by_role("list", name="Differing")).to_have_text("temperature 1.2")
    expect(comparison.side("B").get_by_role("list", name="Differing")).to_have_text("temperature 0.7")


def test_stop_ends_both(playground: Playground) -> None:
    comparison = Comparison(playground, max_tokens=2000, logit_bias={"2": -100})
    comparison.page.get_by_role("button", name="Run both").click()
    expect(comparison.verdict).to_contain_text("The same so far")
    comparison.page.get_by_role("button", name="Stop", exact=True).click()
    for side in "AB":
        expect(comparison.side(side)).to_contain_text("stopped by you")


def test_an_error_is_shown_in_words_on_both_sides(playground: Playground) -> None:
    playground.visit.expect_problem("status of 400")
    comparison = Comparison(playground, logit_bias={"999999": 1}).run()
    for side in "AB":
        expect(comparison.side(side).get_by_role("alert")).to_contain_text("logit_bias")


def test_hostile_tokens_stay_text(playground: Playground) -> None:
    answer_with(playground.visit, stream(["<img src=x onerror=alert(1)>", '"</script>']))
    comparison = Comparison(playground).run()
    expect(comparison.side("A")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(comparison.page.locator("img")).to_have_count(0)
