"""A prompt is sent, its reply streams, and one can stop it, ask for another and change the prompt."""

import re

import httpx2
import pytest
from playwright.sync_api import Route, expect

from tests.server import RunningServer
from tests.stub_server import event
from tests.test_serve import eventually, gauge
from tests.web.answers import COMPLETIONS, answer_with, stream
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

# The end token can't be chosen, so that a reply lasts until the context window is full.
ENDLESS = {"logit_bias": {"2": -100}}

COUNT_GROWTH = """() => {
  window.lengths = [0];
  new MutationObserver(() => {
    const length = document.querySelector('article[aria-label=Answer]')?.textContent.length ?? 0;
    if (length > window.lengths.at(-1)) window.lengths.push(length);
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def test_a_reply_streams(playground: Playground) -> None:
    playground.open(seed=7, max_tokens=100)
    playground.page.evaluate(COUNT_GROWTH)
    playground.ask(STORY)
    assert playground.page.evaluate("() => window.lengths.length") > 3


def test_a_reply_ends_with_what_is_known_about_the_request(playground: Playground, server: RunningServer) -> None:
    answer = playground.open(seed=7, max_tokens=40).ask(STORY)
    facts = playground.facts(answer)
    assert f'"request_id":"{facts["request"]}"' in "".join(server.lines)
    assert facts["tier"] == "standard"
    assert facts["reply"] == "40 tokens"
    assert facts["prompt"].startswith("16 tokens")
    assert re.fullmatch(r"[\d,]+ tokens/s", facts["speed"])
    assert (facts["seed"], facts["end"]) == ("7", "length")


def test_the_page_shows_the_text_that_the_api_returns(playground: Playground, server: RunningServer) -> None:
    answer = playground.open(seed=7, temperature=1.2).ask(STORY)
    body = playground.last_body | {"stream": False}
    content = httpx2.post(f"{server.url}{COMPLETIONS}", json=body).json()["choices"][0]["message"]["content"]
    expect(answer).to_contain_text(content)


def test_stop_ends_the_generation_and_keeps_what_came(playground: Playground, server: RunningServer) -> None:
    playground.open(seed=7, **ENDLESS).send(STORY)
    expect(playground.answers.last).to_contain_text("Long ago")
    playground.button("Stop").click()
    answer = playground.finished()
    eventually(lambda: gauge(server, "running") == 0, "the generation ended")
    facts = playground.facts(answer)
    assert facts["end"] == "stopped by you"
    expect(answer).to_contain_text("Long ago")
    expect(playground.button("Send")).to_be_visible()


def test_retry_asks_again_and_keeps_both_versions(playground: Playground) -> None:
    answer = playground.open(max_tokens=30, temperature=1.5).ask(STORY)
    first = playground.text(answer)
    answer.get_by_role("button", name="Retry").click()
    answer = playground.finished()
    expect(answer).to_contain_text("2 of 2")
    assert playground.text(answer) != first, "another seed gave the same text"
    answer.get_by_role("button", name="The version before").click()
    assert playground.text(playground.finished()) == first


def test_an_edited_prompt_is_sent_in_place_of_the_first(playground: Playground) -> None:
    playground.open(max_tokens=5).ask(STORY)
    playground.ask("And then?")
    playground.page.get_by_role("article", name="Prompt").first.get_by_role("button", name="Edit").click()
    editor = playground.page.get_by_role("textbox", name="Edit the prompt")
    editor.fill("Tell me a joke.")
    editor.press("Enter")
    playground.finished()
    assert playground.last_body["messages"] == [{"role": "user", "content": "Tell me a joke."}]
    expect(playground.answers).to_have_count(1)


def test_the_next_prompt_carries_the_conversation(playground: Playground) -> None:
    answer = playground.open(max_tokens=5, system="Be brief.").ask(STORY)
    first = playground.text(answer)
    playground.ask("And then?")
    assert playground.last_body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": STORY},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "And then?"},
    ]


def test_a_refusal_is_shown_in_the_servers_words_beside_its_parameter(playground: Playground) -> None:
    playground.visit.expect_problem("status of 400")
    answer = playground.open(temperature=9).ask(STORY)
    words = "temperature must be a number from 0 to 2"
    expect(answer.get_by_role("alert")).to_contain_text(words)
    expect(playground.parameters.get_by_text(words)).to_be_visible()
    expect(playground.field("temperature")).to_have_accessible_description(re.compile(words))


def test_a_server_that_is_gone_is_an_error_in_words(playground: Playground) -> None:
    def refuse(route: Route) -> None:
        route.abort("connectionrefused")

    playground.visit.expect_problem("ERR_CONNECTION_REFUSED")
    playground.open()
    playground.visit.context.route(f"**{COMPLETIONS}", refuse)
    answer = playground.ask(STORY)
    expect(answer.get_by_role("alert")).to_contain_text("The server can't be reached")


def test_an_error_within_the_stream_keeps_what_came(playground: Playground) -> None:
    error = event({"error": {"message": "The engine ended.", "type": "server_error", "param": None, "code": "engine"}})
    begun = stream(["Long", " ago"]).split(b"\n\n")[:3]
    playground.open()
    answer_with(playground.visit, b"\n\n".join([*begun, error]))
    answer = playground.ask(STORY)
    expect(answer.get_by_role("alert")).to_contain_text("The engine ended.")
    expect(answer).to_contain_text("Long ago")


def test_a_connection_that_breaks_is_an_error_in_words(playground: Playground) -> None:
    playground.open()
    answer_with(playground.visit, b"\n\n".join([*stream(["Long", " ago"]).split(b"\n\n")[:3], b""]))
    answer = playground.ask(STORY)
    expect(answer.get_by_role("alert")).to_contain_text("connection was lost")
    expect(answer).to_contain_text("Long ago")


def test_a_failed_answer_is_not_part_of_the_conversation(playground: Playground) -> None:
    playground.visit.expect_problem("status of 400")
    playground.open(temperature=9, max_tokens=5).ask(STORY)
    playground.field("temperature").fill("1")
    playground.ask("And then?")
    assert "" not in [message["content"] for message in playground.last_body["messages"]]
