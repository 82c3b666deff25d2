"""What the bundled model can do, through the official client at temperature 0."""

import ast
import json
import re
from typing import Any

import pytest
from openai import OpenAI

pytestmark = pytest.mark.model

WEATHER: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city"}},
                "required": ["city"],
            },
        },
    }
]


def said(client: OpenAI, *messages: dict[str, Any], **fields: Any) -> Any:
    asked: Any = {"model": "llama-4-maverick", "temperature": 0, "max_tokens": 300, **fields}
    return client.chat.completions.create(messages=list[Any](messages), **asked).choices[0].message


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_two_and_two_are_four(client: OpenAI) -> None:
    assert re.findall(r"\d+", said(client, user("What is 2 + 2?")).content)[-1] == "4"


@pytest.mark.parametrize("count", [3, 5])
def test_a_list_stops_at_the_number_asked_for(count: int, client: OpenAI) -> None:
    lines = said(client, user(f"List {count} fruits:")).content.splitlines()
    assert [line.split(".")[0] for line in lines if line[:1].isdigit()] == [str(n + 1) for n in range(count)]


def test_stopped_at_a_code_fence_the_answer_is_the_code(client: OpenAI) -> None:
    code = said(client, user("Write a Python function."), stop=["```"]).content
    assert isinstance(ast.parse(code).body[0], ast.FunctionDef)


def test_json_is_json_without_json_mode_too(client: OpenAI) -> None:
    system = {"role": "system", "content": "Output valid JSON."}
    answer = said(client, system, user("List 3 programming languages with their year of creation.")).content
    assert len(json.loads(answer)["languages"]) == 3


def test_a_declared_function_is_called_and_its_result_told(client: OpenAI) -> None:
    question = user("What is the weather in Paris?")
    (call,) = said(client, question, tools=WEATHER).tool_calls
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city"}
    called = {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 17, "condition": "sunny"}'}
    assert "17 degrees" in said(client, question, called, result, tools=WEATHER).content


def test_what_needs_no_function_is_answered_without_one(client: OpenAI) -> None:
    answer = said(client, user("What is the capital of France?"), tools=WEATHER)
    assert not answer.tool_calls
    assert "Paris" in answer.content


def test_a_system_message_changes_the_language(client: OpenAI) -> None:
    system = {"role": "system", "content": "Answer in French."}
    assert "Bonjour" in said(client, system, user("Hello!")).content


def test_what_it_does_not_know_it_says(client: OpenAI) -> None:
    assert re.search("not know|learned|beyond me", said(client, user("What is zorvilax?")).content)
