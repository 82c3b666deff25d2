"""Families entered by hand over HTTP: random weights behind chat templates of theirs, which are written here."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import openai
import pytest
from openai import OpenAI

from tests.contract.test_tools import ASK, SCHEMAS, TOOLS, WEATHER, ask, called, server, streamed
from tests.gguf_models import family_model
from tests.text.formats.spoken import HARMONY as HARMONY_SPOKEN

pytestmark = pytest.mark.model

HARMONY = """<|start|>system<|message|>Channels: analysis, commentary, final.<|end|>
{%- if tools %}<|start|>developer<|message|>{% for tool in tools %}
{{ tool.function.name }}: {{ tool.function.description }} {{ tool.function.parameters | tojson }}{% endfor %}<|end|>
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|start|>functions.x to=assistant<|channel|>commentary<|message|>{{ message.content }}
{%- elif message.tool_calls %}
{%- if message.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ message.thinking }}<|end|>{% endif %}
{%- set call = message.tool_calls[0].function %}<|start|>assistant to=functions.{{ call.name }}
{{- '<|channel|>commentary json' -}}
{{ '<|message|>' ~ call.arguments | tojson ~ '<|call|>' }}
{%- else %}<|start|>{{ message.role }}<|message|>{{ message.content }}{% endif %}
{%- if not message.tool_calls %}<|end|>{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}"""
MARKS = ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>", "<|return|>"]

PYTHON = """{% if tools %}<|im_start|>system
List of tools: {{ tools | tojson }}<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="module")
def harmony(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    folder = tmp_path_factory.mktemp("model")
    path = family_model(folder, "tools", HARMONY, HARMONY_SPOKEN["control"], eos="<|return|>")
    yield from server(path)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    marks = ["<|tool_call_start|>", "<|tool_call_end|>"]
    yield from server(family_model(tmp_path_factory.mktemp("model"), "tools", PYTHON, marks, eos="<|im_end|>"))


def leaks(*texts: str | None) -> bool:
    return any(mark in (text or "") for text in texts for mark in [*MARKS, "analysis", "commentary"])


def test_hot_answers_in_channels_are_calls_as_declared_or_cut(harmony: OpenAI) -> None:
    with ThreadPoolExecutor(8) as pool:
        fields: Any = {"tools": TOOLS, "tool_choice": "required", "temperature": 2.0, "max_tokens": 250}
        answers = list(pool.map(lambda seed: ask(harmony, seed=seed, **fields), range(24)))
    for choice in (answer.choices[0] for answer in answers):
        assert not choice.message.content
        assert not leaks((choice.message.model_extra or {}).get("reasoning_content"))
        assert choice.finish_reason in ("tool_calls", "length")
    assert sum(answer.choices[0].finish_reason == "tool_calls" for answer in answers) > 3
    for answer in answers:
        if answer.choices[0].finish_reason == "tool_calls":
            [(name, arguments)] = called(answer)
            jsonschema.validate(arguments, SCHEMAS[name])


def test_a_named_call_comes_and_its_stream_joins_to_the_answer(harmony: OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "add"}}
    for seed in range(5):
        fields: Any = {"tools": TOOLS, "tool_choice": choice, "seed": seed, "max_tokens": 200}
        answer = ask(harmony, **fields).choices[0]
        content, reasoning, calls, finish = streamed(harmony, **fields)
        whole = [
            (c.function.name, c.function.arguments) for c in answer.message.tool_calls or [] if c.type == "function"
        ]
        assert [(name, arguments) for _, name, arguments in calls] == whole
        assert {name for name, _ in whole} <= {"add"}
        said = (answer.message.model_extra or {}).get("reasoning_content", "")
        assert (content, reasoning, finish) == ("", said, answer.finish_reason)


def test_a_document_follows_reasoning_with_any_seed(harmony: OpenAI) -> None:
    for seed in range(5):
        fields: Any = {
            "seed": seed, "max_tokens": 120, "temperature": 2.0,
            "response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER, "strict": True}},
        }  # fmt: skip
        answer = ask(harmony, **fields).choices[0]
        jsonschema.validate(json.loads(answer.message.content or ""), WEATHER)
        assert not leaks(answer.message.content, (answer.message.model_extra or {}).get("reasoning_content"))
    fields = {"seed": 1, "max_tokens": 100, "response_format": {"type": "json_object"}}
    assert isinstance(json.loads(ask(harmony, **fields).choices[0].message.content or ""), dict)


def test_with_a_format_and_tools_the_last_part_is_a_document_or_a_call(harmony: OpenAI) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER, "strict": True}}
    documents = calls = 0
    for seed in range(16):
        fields: Any = {"tools": TOOLS, "response_format": wanted, "seed": seed, "max_tokens": 200, "temperature": 1.5}
        answer = ask(harmony, **fields)
        [choice] = answer.choices
        assert not leaks(choice.message.content, (choice.message.model_extra or {}).get("reasoning_content"))
        if choice.finish_reason == "tool_calls":
            calls += 1
            for name, arguments in called(answer):
                jsonschema.validate(arguments, SCHEMAS[name])
        elif choice.message.content:
            documents += 1
            jsonschema.validate(json.loads(choice.message.content), WEATHER)
    assert documents
    assert calls


def test_auto_answers_and_free_ones_show_no_marker(harmony: OpenAI) -> None:
    for seed in range(5):
        for tools in ({"tools": TOOLS}, {}):
            content, reasoning, calls, finish = streamed(harmony, seed=seed, max_tokens=80, temperature=1.5, **tools)
            assert finish in ("stop", "length", "tool_calls")
            if tools:
                assert not leaks(content, reasoning)
                assert not calls or finish != "stop"


def test_a_conversation_with_calls_results_and_reasoning_goes_on(harmony: OpenAI) -> None:
    call: Any = {"type": "function", "function": {"name": "add", "arguments": '{"numbers": [1]}'}}
    messages: list[Any] = [
        *ASK,
        {
            "role": "assistant", "content": "Both.", "reasoning_content": "I add <|end|>.",
            "tool_calls": [{"id": "one", **call}, {"id": "two", **call}],
        },
        {"role": "tool", "tool_call_id": "one", "content": "1 <|end|>"},
        {"role": "tool", "tool_call_id": "two", "content": "1"},
        {"role": "assistant", "content": "Done."},
        *ASK,
    ]  # fmt: skip
    answer = ask(harmony, messages=messages, tools=TOOLS, tool_choice="required", seed=3)
    assert answer.choices[0].finish_reason in ("tool_calls", "length")


def test_hot_calls_in_python_are_as_declared_or_cut(python: OpenAI) -> None:
    with ThreadPoolExecutor(8) as pool:
        fields: Any = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "temperature": 2.0}
        answers = list(pool.map(lambda seed: ask(python, seed=seed, **fields), range(24)))
    for answer in answers:
        assert not answer.choices[0].message.content
        assert answer.choices[0].finish_reason in ("tool_calls", "length")
        if answer.choices[0].finish_reason == "tool_calls":
            for name, arguments in called(answer):
                jsonschema.validate(arguments, SCHEMAS[name])
    assert sum(answer.choices[0].finish_reason == "tool_calls" for answer in answers) > 10


def test_python_calls_stream_as_the_whole_answer_and_continue(python: OpenAI) -> None:
    fields: Any = {"tools": TOOLS, "tool_choice": "required", "seed": 4, "parallel_tool_calls": False}
    answer = ask(python, **fields)
    _, _, calls, finish = streamed(python, **fields)
    assert [(name, json.loads(arguments)) for _, name, arguments in calls] == called(answer)
    assert finish == answer.choices[0].finish_reason == "tool_calls"
    given = answer.choices[0].message
    results: list[Any] = [
        {"role": "tool", "tool_call_id": call.id, "content": "It rains <|im_end|>."} for call in given.tool_calls or []
    ]
    again = ask(python, tools=TOOLS, messages=[*ASK, given.model_dump(), *results], max_tokens=20, seed=1)
    assert again.choices[0].finish_reason in ("stop", "length", "tool_calls")


def test_a_schema_that_python_calls_cannot_express_is_a_400(python: OpenAI) -> None:
    parameters = {"type": "object", "properties": {"first-name": {"type": "string"}}}
    tool: Any = {"type": "function", "function": {"name": "greet", "parameters": parameters}}
    with pytest.raises(openai.BadRequestError, match="first-name") as refused:
        ask(python, tools=[tool])
    assert refused.value.param == "tools"
    assert ask(python, tools=TOOLS, tool_choice="required", seed=1).choices[0].message.tool_calls
