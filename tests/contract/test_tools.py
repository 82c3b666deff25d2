"""Tools, schemas and reasoning over HTTP, from a model of random weights: what holds for it holds for any."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, Field

from tests.gguf_models import llama_model, tool_model
from tests.server import RunningServer, oruel_serve, together

pytestmark = pytest.mark.model

ASK: list[Any] = [{"role": "user", "content": "What is the weather? Answer in JSON."}]
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "days": {"type": "integer", "minimum": 0, "maximum": 99},
        "unit": {"enum": ["c", "f"]},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
NUMBERS = {"type": "array", "items": {"type": "integer", "maximum": 999, "minimum": 0}, "maxItems": 4}
ADD = {"type": "object", "properties": {"numbers": NUMBERS}, "required": ["numbers"], "additionalProperties": False}
SCHEMAS = {"get_weather": WEATHER, "add": ADD}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in SCHEMAS.items()
]
HOT = {"temperature": 2.0, "frequency_penalty": 1.0, "extra_body": {"repetition_penalty": 1.5}}


def server(folder: Any, *flags: str, **more: Any) -> Iterator[OpenAI]:
    with (
        oruel_serve("--model", str(folder), *flags) as running,
        client_of(running) as client,
    ):
        yield client


def client_of(running: RunningServer) -> OpenAI:
    return OpenAI(base_url=running.base_url, api_key="x", max_retries=0)


@pytest.fixture(scope="module")
def client(tools_server: RunningServer) -> Iterator[OpenAI]:
    with client_of(tools_server) as client:
        yield client


@pytest.fixture(scope="module")
def reasoner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    yield from server(tool_model(tmp_path_factory.mktemp("model"), reasons=True), "--template-kwargs", "thinks")


def ask(client: OpenAI, **fields: Any) -> ChatCompletion:
    answer: ChatCompletion = client.chat.completions.create(
        **{"model": "tools", "messages": ASK, "max_tokens": 400, **fields}
    )
    return answer


def called(answer: ChatCompletion) -> list[tuple[str, Any]]:
    calls = answer.choices[0].message.tool_calls or []
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls if call.type == "function"]


def streamed(client: OpenAI, **fields: Any) -> tuple[str, str, list[list[str]], str | None]:
    """Content, reasoning, calls as [id, name, arguments], finish_reason, from a stream as OpenAI's are."""
    content, reasoning, calls, finish = "", "", list[list[str]](), None
    for chunk in client.chat.completions.create(
        **{"model": "tools", "messages": ASK, "max_tokens": 400, **fields}, stream=True
    ):
        assert finish is None
        choice = chunk.choices[0]
        content += choice.delta.content or ""
        reasoning += (choice.delta.model_extra or {}).get("reasoning_content", "")
        for piece in choice.delta.tool_calls or []:
            assert piece.function
            if piece.index == len(calls):
                assert piece.id
                assert piece.type == "function"
                calls.append([piece.id, piece.function.name or "", ""])
            else:
                assert (piece.index, piece.id, piece.function.name) == (len(calls) - 1, None, None)
            calls[piece.index][2] += piece.function.arguments or ""
        finish = choice.finish_reason
    return content, reasoning, calls, finish


def test_a_required_call_always_has_valid_arguments(client: OpenAI) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda seed: ask(client, tools=TOOLS, tool_choice="required", seed=seed, **HOT), range(40))
        )
    for answer in answers:
        assert answer.choices[0].finish_reason in ("tool_calls", "length")
        if answer.choices[0].finish_reason == "tool_calls":
            assert called(answer)
            assert answer.choices[0].message.content is None
            for name, arguments in called(answer):
                jsonschema.validate(arguments, SCHEMAS[name])
    assert sum(answer.choices[0].finish_reason == "tool_calls" for answer in answers) > 20
    assert (
        len(
            {
                name
                for answer in answers
                if answer.choices[0].finish_reason == "tool_calls"
                for name, _ in called(answer)
            }
        )
        == 2
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_named_function_is_called(client: OpenAI, name: str) -> None:
    for seed in range(5):
        choice: Any = {"type": "function", "function": {"name": name}}
        answer = ask(client, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, seed=seed, temperature=1.5)
        [(chosen, arguments)] = called(answer)
        assert (chosen, answer.choices[0].finish_reason) == (name, "tool_calls")
        jsonschema.validate(arguments, SCHEMAS[name])


@pytest.mark.parametrize("described", [{}, {"parameters": None}, {"parameters": {"type": "object", "properties": {}}}])
def test_a_function_without_parameters_is_called_without_arguments(client: OpenAI, described: dict[str, Any]) -> None:
    tool: Any = {"type": "function", "function": {"name": "now", **described}}
    for seed in range(3):
        answer = ask(client, tools=[tool], tool_choice="required", parallel_tool_calls=False, seed=seed, **HOT)
        assert (called(answer), answer.choices[0].finish_reason) == ([("now", {})], "tool_calls")


def test_without_parallel_calls_there_is_one_call(client: OpenAI) -> None:
    several = [ask(client, tools=TOOLS, tool_choice="required", seed=seed) for seed in range(12)]
    assert max(len(answer.choices[0].message.tool_calls or []) for answer in several) > 1
    for seed in range(12):
        assert len(called(ask(client, tools=TOOLS, tool_choice="required", seed=seed, parallel_tool_calls=False))) == 1


def test_a_stream_of_calls_joins_to_the_unstreamed_answer(client: OpenAI) -> None:
    for seed in range(8):
        fields: Any = {"tools": TOOLS, "tool_choice": "required", "seed": seed, "temperature": 1.2}
        content, _, calls, finish = streamed(client, **fields)
        whole = ask(client, **fields).choices[0]
        joined = [
            (call.function.name, call.function.arguments)
            for call in whole.message.tool_calls or []
            if call.type == "function"
        ]
        assert [(name, arguments) for _, name, arguments in calls] == joined
        assert (content, finish) == ("", whole.finish_reason)
        assert len({call_id for call_id, _, _ in calls}) == len(calls)


def test_a_call_that_max_tokens_cuts_stays_cut(client: OpenAI) -> None:
    for budget in range(1, 50, 4):
        fields: Any = {"tools": TOOLS, "tool_choice": "required", "seed": 3, "max_tokens": budget}
        answer = ask(client, **fields).choices[0]
        content, _, calls, finish = streamed(client, **fields)
        assert (answer.finish_reason, finish) == ("length", "length")
        assert (answer.message.content or "", content) == ("", "")
        cut = [call.function.arguments for call in answer.message.tool_calls or [] if call.type == "function"]
        assert cut == [arguments for _, _, arguments in calls]


@pytest.mark.parametrize("parallel", [False, True])
def test_a_call_completed_by_the_last_token_allowed_is_complete(client: OpenAI, parallel: bool) -> None:
    for seed in range(3):
        fields: Any = {"tools": TOOLS, "tool_choice": "required", "seed": seed}
        whole = ask(client, **fields, parallel_tool_calls=False)
        assert whole.usage
        budget = whole.usage.completion_tokens
        for max_tokens, finish in [(budget, "tool_calls"), (budget - 1, "length")]:
            answer = ask(client, **fields, parallel_tool_calls=parallel, max_tokens=max_tokens)
            assert answer.choices[0].finish_reason == finish
        assert streamed(client, **fields, parallel_tool_calls=parallel, max_tokens=budget)[3] == "tool_calls"


def test_auto_is_free_until_a_call_and_none_calls_nothing(client: OpenAI) -> None:
    free = ask(client, tools=TOOLS, seed=1, max_tokens=40).choices[0]
    assert free.message.content
    assert free.message.tool_calls is None
    none = ask(client, tools=TOOLS, tool_choice="none", seed=1, max_tokens=40)
    untold = ask(client, seed=1, max_tokens=40)
    assert none.choices[0].message.content == untold.choices[0].message.content
    begun = ask(client, tools=TOOLS, seed=1, messages=[*ASK, {"role": "assistant", "content": "x"}], max_tokens=5)
    assert begun.choices[0].finish_reason in ("length", "stop")


def test_a_conversation_with_calls_and_results_goes_on(client: OpenAI) -> None:
    first = ask(client, tools=TOOLS, tool_choice="required", seed=5, parallel_tool_calls=False).choices[0].message
    results: list[Any] = [
        {"role": "tool", "tool_call_id": call.id, "content": "It <|im_end|> rains."} for call in first.tool_calls or []
    ]
    messages: list[Any] = [*ASK, first.model_dump(), *results]
    again = ask(client, messages=messages, tools=TOOLS, tool_choice="required", seed=6, parallel_tool_calls=False)
    assert again.usage
    assert len(called(again)) == 1
    assert ask(client, messages=messages, seed=6, max_tokens=20).choices[0].message.content is not None


def test_a_stop_sequence_is_not_looked_for_in_calls(client: OpenAI) -> None:
    answer = ask(
        client, tools=TOOLS, tool_choice="required", seed=2, stop=['"', "{", "name"], parallel_tool_calls=False
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert called(answer)


def test_reasoning_is_free_and_the_answer_is_constrained(reasoner: OpenAI) -> None:
    thinks: Any = {"chat_template_kwargs": {"thinks": True}}
    for seed in range(6):
        fields: Any = {
            "seed": seed, "max_tokens": 90, "extra_body": thinks,
            "response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER, "strict": True}},
        }  # fmt: skip
        answer = ask(reasoner, **fields).choices[0]
        content, reasoning, _, finish = streamed(reasoner, **fields)
        jsonschema.validate(json.loads(answer.message.content or ""), WEATHER)
        assert (content, reasoning, finish) == (
            answer.message.content,
            (answer.message.model_extra or {})["reasoning_content"],
            answer.finish_reason,
        )
        assert reasoning
        assert "</think>" not in reasoning + content
    straight = ask(reasoner, tools=TOOLS, tool_choice="required", seed=1, parallel_tool_calls=False).choices[0]
    assert (straight.finish_reason, "reasoning_content" in (straight.message.model_extra or {})) == (
        "tool_calls",
        False,
    )
    json_mode = ask(reasoner, max_tokens=60, response_format={"type": "json_object"}, extra_body=thinks)
    assert isinstance(json.loads(json_mode.choices[0].message.content or ""), dict)


def test_unenforced_keywords_are_named_in_a_header(client: OpenAI) -> None:
    schema = {**ADD, "properties": {"numbers": {**NUMBERS, "disallow": "string"}}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = client.chat.completions.with_raw_response.create(
        model="tools", messages=ASK, response_format=wanted, max_tokens=60
    )
    assert answer.headers["x-oruel-differs"] == "response_format.json_schema.schema: disallow"
    jsonschema.validate(json.loads(answer.parse().choices[0].message.content or ""), ADD)
    wanted["json_schema"]["strict"] = True
    with pytest.raises(openai.BadRequestError, match="disallow") as refused:
        ask(client, response_format=wanted)
    assert refused.value.param == "response_format.json_schema.schema"


def test_a_strict_schema_is_enforced_beyond_what_a_grammar_holds(client: OpenAI) -> None:
    numbers = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 3}, "uniqueItems": True}
    schema = {**ADD, "properties": {"numbers": {**numbers, "minItems": 3}}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    for seed in range(5):
        answer = client.chat.completions.with_raw_response.create(
            model="tools", messages=ASK, response_format=wanted, max_tokens=60, temperature=1.5, seed=seed
        )
        assert "x-oruel-differs" not in answer.headers
        jsonschema.validate(json.loads(answer.parse().choices[0].message.content or ""), schema)


def test_arguments_are_enforced_beyond_what_a_grammar_holds(client: OpenAI) -> None:
    numbers = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 3}, "uniqueItems": True}
    schema = {
        "type": "object",
        "properties": {"numbers": {**numbers, "minItems": 2}, "unit": {"enum": ["c", "f"]}},
        "additionalProperties": False,
        "minProperties": 1,
        "dependentRequired": {"numbers": ["unit"]},
    }
    tool: Any = {"type": "function", "function": {"name": "add", "parameters": schema, "strict": True}}
    fields: Any = {"tools": [tool], "tool_choice": "required", "parallel_tool_calls": False, "temperature": 1.5}
    for seed in range(8):
        answer = client.chat.completions.with_raw_response.create(
            model="tools", messages=ASK, max_tokens=200, seed=seed, **fields
        )
        assert "x-oruel-differs" not in answer.headers
        assert answer.parse().choices[0].finish_reason == "tool_calls"
        [(_, arguments)] = called(answer.parse())
        jsonschema.validate(arguments, schema)


def test_words_without_a_meaning_are_accepted_when_strict_and_named_in_a_header(client: OpenAI) -> None:
    schema = {**ADD, "x-order\r\n": 1, "properties": {"numbers": {**NUMBERS, "minItem": 5}}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    answer = client.chat.completions.with_raw_response.create(
        model="tools", messages=ASK, response_format=wanted, max_tokens=60
    )
    said = answer.headers["x-oruel-differs"]
    assert re.fullmatch(r"response_format\.json_schema\.schema: unknown minItem x-order\S*", said)
    jsonschema.validate(json.loads(answer.parse().choices[0].message.content or ""), ADD)


def test_tools_are_refused_without_template_support_unless_generic(tmp_path: Any) -> None:
    path = llama_model(tmp_path)
    flags = ("--model", str(path))
    with (
        together(oruel_serve(*flags), oruel_serve(*flags, "--tool-prompt", "generic")) as (unsupported, generic),
        client_of(unsupported) as refusing,
        client_of(generic) as calling,
    ):
        with pytest.raises(openai.BadRequestError, match="tool_prompt") as refused:
            ask(refusing, model="llama-f16", tools=TOOLS)
        assert refused.value.param == "tools"
        answer = ask(calling, model="llama-f16", tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
        assert len(called(answer)) == 1


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")
    street: str = Field(max_length=12)
    number: int = Field(ge=0, le=999)


class Person(BaseModel):
    """Somebody."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=12)
    addresses: list[Address] = Field(max_length=2)
    age: int | None = Field(ge=0, le=150)


def test_the_official_client_parses_answers_and_calls_into_pydantic_models(client: OpenAI) -> None:
    parsed = client.chat.completions.parse(model="tools", messages=ASK, response_format=Person, max_tokens=400)
    assert isinstance(parsed.choices[0].message.parsed, Person)
    tool = openai.pydantic_function_tool(Person)
    calls = client.chat.completions.parse(
        model="tools", messages=ASK, tools=[tool], tool_choice="required", parallel_tool_calls=False, max_tokens=400
    )
    [call] = calls.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Person)
    with client.chat.completions.stream(model="tools", messages=ASK, response_format=Person, max_tokens=400) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Person)
