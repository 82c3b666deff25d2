"""What the page shows of a token is what the API says, and what it previews is what the API would say."""

from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from tests.server import RunningServer
from tests.web.answers import COMPLETIONS
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

STEPS = {"seed": 7, "max_tokens": 30, "temperature": 1.4, "top_k": 30, "top_p": 0.95, "min_p": 0.01}
PENALTIES = {"frequency_penalty": 0.7, "presence_penalty": 0.3, "repetition_penalty": 1.2}

# Settings that are tried on a token without asking the server.
CHANGES: list[dict[str, Any]] = [
    {"temperature": 0.5},
    {"top_k": 3},
    {"top_p": 0.6},
    {"min_p": 0.2},
    {"temperature": 2, "min_p": 0.05},
]


def traced(server: RunningServer, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The trace of all tokens, as the API returns it for this request without streaming."""
    response = httpx2.post(f"{server.url}{COMPLETIONS}", json=body | {"stream": False}, timeout=60)
    assert response.status_code == 200, response.text
    return list(response.json()["choices"][0]["trace"])


def probabilities(candidate: dict[str, Any]) -> list[float]:
    return [candidate["probability"], *candidate["after"]]


def test_the_strip_shows_each_token_of_the_reply(playground: Playground, server: RunningServer) -> None:
    playground.open(**STEPS).ask(STORY)
    tokens = traced(server, playground.last_body)
    expect(playground.tokens).to_have_count(len(tokens))
    labels = [token.get_attribute("aria-label") or "" for token in playground.tokens.all()]
    for label, token in zip(labels, tokens, strict=True):
        assert label.startswith(f"token {token['token'].strip()}"), label
        assert label.endswith(token["source"]), label


@pytest.mark.parametrize(
    "settings", [STEPS, STEPS | PENALTIES, STEPS | {"temperature": 0}], ids=["filters", "penalties", "greedy"]
)
def test_the_bars_are_the_apis_numbers(playground: Playground, server: RunningServer, settings: dict[str, Any]) -> None:
    # Narrow pages leave out the steps between the first and the last.
    playground.page.set_viewport_size({"width": 1600, "height": 900})
    playground.open(**settings).ask(STORY)
    tokens = traced(server, playground.last_body)
    for index in (0, 7, len(tokens) - 1):
        playground.pick(index)
        candidates = tokens[index]["candidates"]
        rows = playground.candidates()
        assert [row.id for row in rows] == [candidate["id"] for candidate in candidates]
        for row, candidate in zip(rows, candidates, strict=True):
            assert row.probabilities == probabilities(candidate)
        bars = [bar for row in rows for bar in zip(row.widths, row.probabilities, strict=True)]
        longest, largest = max(bars)
        for width, probability in bars:
            # A bar is never shorter than the 2 pixels that make it visible.
            assert width == pytest.approx(longest * probability / largest, abs=2)


def test_each_candidate_shows_the_step_that_cut_it(playground: Playground, server: RunningServer) -> None:
    playground.page.set_viewport_size({"width": 1600, "height": 900})
    playground.open(**STEPS).ask(STORY)
    token = traced(server, playground.last_body)[6]
    playground.pick(6)
    removed = [candidate["removed_by"] for candidate in token["candidates"]]
    assert len(set(removed)) > 1, "nothing was cut"
    for row, step in zip(playground.candidates(), removed, strict=True):
        shown = [name for name, text in zip(["model", *token["steps"]], row.texts, strict=True) if text == "cut"]
        assert shown == ([step] if step else [])


def test_the_draw_and_its_interval_are_shown(playground: Playground, server: RunningServer) -> None:
    playground.open(**STEPS).ask(STORY)
    draw = traced(server, playground.last_body)[4]["draw"]
    playground.pick(4)
    for number in draw.values():
        expect(playground.inspector).to_contain_text(f"{number:.4f}")


def test_a_preview_is_what_the_server_would_compute(playground: Playground, server: RunningServer) -> None:
    playground.open(seed=7, max_tokens=3).ask(STORY)
    playground.pick(0)
    body, asked = playground.last_body, len(playground.visit.requests)
    for change in CHANGES:
        for name in ("temperature", "top_k", "top_p", "min_p"):
            playground.field(name).fill(str(change.get(name, "")))
        for name in change:
            expect(playground.inspector.get_by_role("status")).to_contain_text(name)
        rows = {row.id: row.probabilities[-1] for row in playground.candidates()}

        computed = traced(server, body | change)[0]["candidates"]
        compared = [candidate for candidate in computed if candidate["id"] in rows]
        assert len(compared) >= len(rows) - 1
        for candidate in compared:
            assert rows[candidate["id"]] == pytest.approx(probabilities(candidate)[-1], abs=1e-3), change
    assert len(playground.visit.requests) == asked, "a preview sent a request"


def test_a_preview_ends_where_the_slider_returns(playground: Playground) -> None:
    playground.open(seed=7, max_tokens=3).ask(STORY)
    playground.pick(0)
    before = playground.candidates()
    playground.slider("temperature").press("PageUp")
    assert playground.candidates() != before
    playground.slider("temperature").press("PageDown")
    assert playground.candidates() == before


def test_the_conversation_goes_on_from_another_candidate(playground: Playground, server: RunningServer) -> None:
    first = playground.open(seed=7, max_tokens=20).ask(STORY)
    tokens = traced(server, playground.last_body)
    playground.pick(4)
    other = next(each for each in tokens[4]["candidates"] if each["id"] != tokens[4]["id"] and each["token"].isascii())
    name = f"Continue with token {other['token'].strip()} instead"
    playground.inspector.get_by_role("button", name=name, exact=True).click()
    expect(first).to_contain_text("2 of 2")
    answer = playground.finished()
    assert playground.last_body["trace"]["prefix"] == [token["id"] for token in tokens[:4]] + [other["id"]]
    begun = "".join(token["token"] for token in tokens[:4]) + other["token"]
    assert playground.text(answer).startswith(begun)
    assert playground.facts(answer)["branch"].startswith("token 5")
    expect(playground.tokens).to_have_count(20)


def test_a_reply_without_a_trace_shows_no_tokens(playground: Playground) -> None:
    playground.open(seed=7, max_tokens=5)
    playground.page.get_by_role("checkbox", name="Trace the tokens").uncheck()
    answer = playground.ask(STORY)
    assert "trace" not in playground.last_body
    assert playground.text(answer)
    expect(playground.tokens).to_have_count(0)
