"""Every parameter has a control, and what it is set to is what the request asks for."""

import re
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from tests.server import RunningServer
from tests.web.answers import COMPLETIONS, answer_with, stream
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

# The page streams and traces by itself.
SET_BY_PAGE = {"stream", "stream_options", "trace"}

# Their panels explain them.
WITH_PANELS = {"response_format", "tools", "tool_choice", "parallel_tool_calls"}

# A value for each parameter that differs from its default.
VALUES: dict[str, Any] = {
    "temperature": 1.1,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.02,
    "seed": 42,
    "max_tokens": 6,
    "max_completion_tokens": 6,
    "stop": ["\n\n", "\\n", "END"],
    "frequency_penalty": 0.5,
    "presence_penalty": -0.25,
    "repetition_penalty": 1.1,
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}],
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "tier": "turbo",
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"342": -5},
    "chat_template_kwargs": {"anything": 1},
}


@pytest.fixture(scope="module")
def declared(server: RunningServer) -> dict[str, Any]:
    return dict(httpx2.get(f"{server.base_url}/parameters").json())


def served(declared: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in declared["data"] if each["served"] and each["name"] not in SET_BY_PAGE]


def test_the_address_sets_every_parameter(playground: Playground, declared: dict[str, Any]) -> None:
    expected = {each["name"]: VALUES[each["name"]] for each in served(declared)}
    playground.visit.expect_problem("status of 400")  # the model's template takes no chat_template_kwargs
    playground.open(**expected).ask(STORY)
    body = playground.last_body
    assert {name: body.get(name) for name in expected} == expected


def test_every_parameter_explains_itself(playground: Playground, declared: dict[str, Any]) -> None:
    playground.open().open_groups()
    for each in served(declared):
        if each["name"] in WITH_PANELS:
            continue
        help_button = playground.parameters.get_by_role("button", name=f"About {each['name']}", exact=True)
        expect(help_button).to_be_visible()
        help_button.click()
        expect(playground.parameters.get_by_text(each["summary"], exact=True)).to_be_visible()
        help_button.click()


def test_nothing_is_sent_that_nobody_set(playground: Playground) -> None:
    playground.open().ask(STORY)
    sent_anyway = {"model", "messages", "stream", "stream_options", "trace", "seed"}
    assert set(playground.last_body) <= sent_anyway


def test_a_slider_changes_the_request(playground: Playground) -> None:
    playground.open(max_tokens=5)
    playground.slider("temperature").press("ArrowRight")
    expect(playground.field("temperature")).to_have_value("0.71")
    playground.ask(STORY)
    assert playground.last_body["temperature"] == 0.71
    playground.slider("temperature").press("ArrowLeft")
    playground.ask(STORY)
    assert "temperature" not in playground.last_body


def test_a_slider_can_be_dragged(playground: Playground) -> None:
    playground.open(max_tokens=5)
    box = playground.slider("top_p").bounding_box()
    assert box
    mouse = playground.page.mouse
    mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    mouse.up()
    playground.ask(STORY)
    assert playground.last_body["top_p"] == pytest.approx(0.5, abs=0.05)


def test_a_number_can_be_typed_beside_its_slider(playground: Playground) -> None:
    playground.open()
    playground.field("max_tokens").fill("7")
    answer = playground.ask(STORY)
    assert playground.last_body["max_tokens"] == 7
    assert playground.facts(answer)["reply"] == "7 tokens"


def test_what_is_not_a_number_is_not_sent(playground: Playground) -> None:
    playground.open()
    playground.field("temperature").fill("hot")
    playground.send(STORY)
    expect(playground.conversation.get_by_role("alert")).to_contain_text("temperature")
    assert not playground.visit.bodies(COMPLETIONS)
    expect(playground.prompt).to_have_value(STORY)


def test_reset_returns_all_parameters_to_their_defaults(playground: Playground) -> None:
    playground.open(temperature=1.5, top_k=3, stop=["END"], n=2, max_tokens=5)
    playground.parameters.get_by_role("button", name=re.compile("^Reset")).click()
    playground.field("max_tokens").fill("5")
    playground.ask(STORY)
    assert not {"temperature", "top_k", "stop", "n"} & set(playground.last_body)


def test_each_preset_asks_for_the_settings_of_its_use_case(playground: Playground, declared: dict[str, Any]) -> None:
    defaults = {each["name"]: each["default"] for each in declared["data"]}
    playground.open()
    answer_with(playground.visit, stream(["Yes."]))
    for use_case in declared["use_cases"]:
        playground.parameters.get_by_role("combobox", name="Preset").select_option(use_case["name"])
        playground.ask(STORY)
        sent = {name: playground.last_body.get(name, defaults[name]) for name in use_case["settings"]}
        assert sent == use_case["settings"], use_case["name"]
