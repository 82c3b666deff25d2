"""Calls whose arguments stand between tags, and calls that a model chooses itself, over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, ConfigDict, Field

from tests.contract.test_tools import ASK, Person, called, server, streamed
from tests.gguf_models import TAGGED, byte_level, tagged_model

pytestmark = pytest.mark.model

TEXT = {"type": "string", "maxLength": 12}


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    yield from server(tagged_model(tmp_path_factory.mktemp("model")), "--ctx", "32768")


def function(parameters: dict[str, Any], name: str = "f", **more: Any) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def schema(described: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": described}, "required": ["a"], **more}


HELD = [
    schema(TEXT),
    schema({"type": "string", "minLength": 2, "maxLength": 4}),
    schema({"type": "string", "const": "yes"}),
    schema({"type": "string", "pattern": "^x{1,3}$"}),
    schema({"type": "string", "format": "date"}),
    schema({"enum": ["a", None]}),
    schema({"type": "string", "enum": ["a\n</parameter>\nb"]}),
    schema({"$ref": "#/$defs/x"}, **{"$defs": {"x": {"type": "string", "enum": ["p", "q"]}}}),
    {"$ref": "#/$defs/x", "$defs": {"x": schema({"type": "integer", "minimum": 0, "maximum": 99})}},
    {"type": "object", "allOf": [schema({"type": "boolean"})]},
    {"type": "object", "required": ["q"], "additionalProperties": TEXT},
]


@pytest.mark.parametrize("parameters", HELD)
def test_arguments_between_tags_are_valid(tagged: OpenAI, parameters: dict[str, Any]) -> None:
    for seed in range(3):
        fields: Any = {
            "model": "tagged", "tools": [function(parameters, strict=True)], "tool_choice": "required",
            "parallel_tool_calls": False, "seed": seed, "temperature": 1.5, "max_tokens": 300,
        }  # fmt: skip
        answer = tagged.chat.completions.create(messages=ASK, **fields)
        [(_, arguments)] = called(answer)
        assert answer.choices[0].finish_reason == "tool_calls"
        jsonschema.validate(arguments, parameters)
        content, _, [[_, _, joined]], finish = streamed(tagged, **fields)
        assert (content, json.loads(joined), finish) == ("", arguments, "tool_calls")


def test_keywords_that_tags_cannot_enforce_are_refused_or_named(tagged: OpenAI) -> None:
    two = {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "boolean"}}}
    parameters = {**two, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    fields: Any = {"model": "tagged", "messages": ASK, "tool_choice": "required", "max_tokens": 100}
    answer = tagged.chat.completions.with_raw_response.create(tools=[function(parameters)], **fields)
    assert answer.headers["x-oruel-differs"] == "tools[0].function.parameters: anyOf"
    with pytest.raises(openai.BadRequestError, match="anyOf") as refused:
        tagged.chat.completions.create(tools=[function(parameters, strict=True)], **fields)
    assert refused.value.param == "tools[0].function.parameters"


def tokens(client: OpenAI, **given: Any) -> list[Any]:
    url = str(client.base_url).replace("/v1/", "/tokenize")
    return list(httpx2.post(url, json={"model": "tagged", **given}).raise_for_status().json()["tokens"])


def test_an_optional_call_follows_text_and_no_marker_leaks(tagged: OpenAI) -> None:
    marker = len(byte_level(template=TAGGED).texts)  # the last one
    fields: Any = {
        "model": "tagged", "tools": [function(schema(TEXT))], "parallel_tool_calls": False, "temperature": 1.0,
        "logit_bias": {str(marker): 7}, "max_tokens": 150,
    }  # fmt: skip
    behind_text = 0
    for seed in range(12):
        answer = tagged.chat.completions.create(messages=ASK, seed=seed, **fields)
        content, _, calls, finish = streamed(tagged, seed=seed, **fields)
        message = answer.choices[0].message
        assert (content, finish) == (message.content or "", answer.choices[0].finish_reason)
        assert "<tool_call>" not in content
        if finish == "tool_calls":
            [(_, arguments)] = called(answer)
            assert json.loads(calls[0][2]) == arguments
            jsonschema.validate(arguments, schema(TEXT))
            behind_text += bool(content)
    assert behind_text


def test_the_maximum_number_of_tools_is_supported(tagged: OpenAI) -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(128)]
    fields: Any = {"model": "tagged", "messages": ASK, "tools": tools, "parallel_tool_calls": False, "max_tokens": 100}
    named: Any = {"type": "function", "function": {"name": "f127"}}
    for choice, names in [("required", {f"f{number}" for number in range(128)}), (named, {"f127"})]:
        [(name, arguments)] = called(tagged.chat.completions.create(tool_choice=choice, **fields))
        assert name in names
        assert arguments == {}


SPECIAL = "<|im_end|>" * 4


def test_special_tokens_spelt_in_tools_are_text(tagged: OpenAI) -> None:
    """As special tokens they would be four."""

    def size(description: str, choice: str) -> int:
        tool = function(schema({"type": "string", "enum": [choice]}))
        tool["function"]["description"] = description
        answer = tagged.chat.completions.create(
            model="tagged",
            messages=ASK,
            tools=[tool],
            tool_choice="required",
            parallel_tool_calls=False,
            max_tokens=200,
        )
        assert called(answer) == [("f", {"a": choice})]
        assert answer.usage
        return answer.usage.prompt_tokens

    plain = size("x", "x")
    assert size(SPECIAL, "x") - plain > 20
    assert size("x", SPECIAL) - plain > 20


def test_special_tokens_spelt_in_calls_and_results_are_text(tagged: OpenAI) -> None:
    def control(**said: str) -> list[str]:
        given = {"id": "c1", "value": "x", "result": "x"} | said
        arguments = json.dumps({"a": given["value"]})
        call = {"id": given["id"], "type": "function", "function": {"name": "f", "arguments": arguments}}
        messages = [
            *ASK,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": given["id"], "content": given["result"]},
        ]
        return [token["text"] for token in tokens(tagged, messages=messages) if not token["bytes"]]

    plain = control()
    assert plain.count("<|im_end|>") == 3
    for place in ("id", "value", "result"):
        assert control(**{place: SPECIAL}) == plain


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=12)
    marks: list[int] = Field(max_length=3)


@pytest.mark.parametrize("bias", [-100, 0, 100])
def test_with_a_format_and_tools_the_answer_is_a_document_or_calls(tagged: OpenAI, bias: int) -> None:
    marker = len(byte_level(template=TAGGED).texts)
    tool: Any = openai.pydantic_function_tool(Person, name="f")
    found = set[bool]()
    for seed in range(6):
        fields: Any = {
            "model": "tagged", "messages": ASK, "tools": [tool], "max_tokens": 400, "seed": seed, "temperature": 1.5,
            "parallel_tool_calls": False, "logit_bias": {str(marker): bias},
        }  # fmt: skip
        message = tagged.chat.completions.parse(response_format=Verdict, **fields).choices[0].message
        with tagged.chat.completions.stream(response_format=Verdict, **fields) as stream:
            again = stream.get_final_completion().choices[0].message
        found.add(bool(message.tool_calls))
        if message.tool_calls:
            assert message.content is None
            assert again.tool_calls
            for call in (message.tool_calls[0], again.tool_calls[0]):
                assert isinstance(call.function.parsed_arguments, Person)
        else:
            assert isinstance(message.parsed, Verdict)
            assert again.parsed == message.parsed
    assert bias == 0 or found == {bias > 0}


@pytest.mark.parametrize("wanted", [{"type": "json_object"}, None])
@pytest.mark.parametrize("budget", [24, 30, 60])
def test_with_tools_documents_are_completed_and_calls_stay_cut(tagged: OpenAI, wanted: Any, budget: int) -> None:
    wanted = wanted or {"type": "json_schema", "json_schema": {"name": "v", "schema": Verdict.model_json_schema()}}
    marker = str(len(byte_level(template=TAGGED).texts))
    fields: Any = {"model": "tagged", "messages": ASK, "tools": [function(schema(TEXT))], "response_format": wanted}
    for seed in range(6):
        limits: Any = {"max_tokens": budget, "seed": seed, "temperature": 2.0}
        document: Any = {"logit_bias": {marker: -100}}
        answer = tagged.chat.completions.create(**fields, **limits, **document).choices[0]
        assert answer.message.tool_calls is None
        assert isinstance(json.loads(answer.message.content or ""), dict)
    forced: Any = {"max_tokens": 6, "logit_bias": {marker: 100}}
    cut = tagged.chat.completions.create(**fields, **forced).choices[0]
    assert (cut.finish_reason, cut.message.content or "") == ("length", "")
    called_for: Any = {"max_tokens": 200, "tool_choice": "required", "seed": 1}
    required = tagged.chat.completions.create(**fields, **called_for)
    assert required.choices[0].message.tool_calls
