"""JSON mode and tools: a schema is pasted and kept to, a call is shown as a card, and its result goes back."""

import json
import re

import jsonschema
import pytest
from playwright.sync_api import expect

from tests.web.answers import COMPLETIONS
from tests.web.playground import Playground

pytestmark = pytest.mark.model

SCHEMA = {
    "type": "object",
    "properties": {"sky": {"enum": ["clear", "cloudy"]}, "celsius": {"type": "integer", "minimum": -9, "maximum": 9}},
    "required": ["sky", "celsius"],
    "additionalProperties": False,
}
WEATHER = "What is the weather in Paris?"


def test_a_pasted_schema_is_kept_to(playground: Playground) -> None:
    playground.open(seed=7, temperature=2).open_groups()
    playground.choose("response_format", "json_schema")
    playground.parameters.get_by_role("textbox", name="JSON Schema").fill(json.dumps(SCHEMA))
    playground.parameters.get_by_role("region", name="response_format").get_by_label("Name").fill("weather")
    answer = playground.ask(WEATHER)
    assert playground.last_body["response_format"]["json_schema"]["schema"] == SCHEMA
    jsonschema.validate(json.loads(playground.text(answer)), SCHEMA)


def test_the_masks_share_of_the_vocabulary_is_shown(playground: Playground) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA}}
    playground.open(seed=7, response_format=schema).ask(WEATHER)
    playground.pick(0)
    expect(playground.inspector).to_contain_text("The mask allows")
    forced = playground.page.get_by_role("button", name="forced").first
    forced.click()
    expect(playground.inspector).to_contain_text("Forced")
    expect(playground.inspector).to_contain_text("1 token")


def test_what_is_not_json_is_named_where_it_is(playground: Playground) -> None:
    playground.open().open_groups()
    playground.choose("response_format", "json_schema")
    field = playground.parameters.get_by_role("textbox", name="JSON Schema")
    field.fill('{"type": "object",}')
    expect(field).to_have_attribute("aria-invalid", "true")
    playground.send(WEATHER)
    expect(playground.conversation.get_by_role("alert")).to_be_visible()
    assert not playground.visit.bodies(COMPLETIONS)


def test_the_servers_refusal_of_a_schema_is_shown_beside_it(playground: Playground) -> None:
    playground.visit.expect_problem("status of 400")
    schema = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
    playground.open(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
    answer = playground.ask(WEATHER)
    expect(answer.get_by_role("alert")).to_contain_text("nonsense")
    field = playground.parameters.get_by_role("textbox", name="JSON Schema")
    expect(field).to_have_accessible_description(re.compile("nonsense"))


def test_a_call_is_a_card_and_its_result_goes_back(playground: Playground) -> None:
    playground.open(seed=7).open_groups()
    playground.parameters.get_by_role("button", name="get_weather", exact=True).click()
    playground.parameters.get_by_role("combobox", name="tool_choice").select_option("required")
    playground.ask(WEATHER)
    assert playground.last_body["tool_choice"] == "required"
    card = playground.answers.first.get_by_role("article", name="Call of get_weather")
    arguments = json.loads(card.get_by_role("group", name="Arguments").inner_text())
    playground.parameters.get_by_role("combobox", name="tool_choice").select_option("none")
    card.get_by_role("textbox", name="What get_weather returned").fill('{"celsius": 21}')
    card.get_by_role("button", name="Send result").click()
    expect(playground.answers).to_have_count(2)
    last = playground.finished()
    called, result = playground.last_body["messages"][-2:]
    [call] = called["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == arguments
    assert result == {"role": "tool", "tool_call_id": call["id"], "content": '{"celsius": 21}'}
    assert playground.text(last)
    expect(card).to_contain_text("21")
