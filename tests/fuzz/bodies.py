"""Valid bodies of POST requests, for mutation."""

from random import Random
from typing import Any

from tests.soak.prompts import some_words
from tests.soak.values import parameters

LONGEST_ANSWER = 12

SCHEMAS: tuple[dict[str, Any], ...] = (
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"kind": {"enum": ["a", "b", 3, None]}, "at": {"const": "now"}}},
    {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    },
    {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[a-z]{1,4}-[0-9]+$"}}},
    {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "boolean"}]}, "maxItems": 3}
        },
    },
)
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Bern"}'}}


def messages(random: Random) -> list[dict[str, Any]]:
    text = some_words(random, random.randrange(1, 20)) + " Answer in JSON."
    user: dict[str, Any] = {"role": "user", "content": text}
    return random.choice(
        (
            [user],
            [{"role": "system", "content": "Be brief."}, user],
            [{"role": "developer", "content": "Be brief."}, user | {"name": "ann"}],
            [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "text", "text": "Now."}]}],
            [user, {"role": "assistant", "content": "Yes.", "refusal": None, "reasoning_content": "Hm."}, user],
            [user, {"role": "assistant", "content": None, "tool_calls": [CALL]},
             {"role": "tool", "tool_call_id": "call_1", "content": "rain"}],
        )
    )  # fmt: skip


def tools(random: Random) -> dict[str, Any]:
    functions = [
        {"type": "function", "function": {"name": name, "description": "Looks.", "parameters": random.choice(SCHEMAS)}}
        for name in ("look", "go")
    ]
    named = {"type": "function", "function": {"name": "look"}}
    return {"tools": functions, "tool_choice": random.choice(("auto", "none", "required", named))}


def response_format(random: Random) -> dict[str, Any]:
    named = {"name": "answer", "schema": random.choice(SCHEMAS), "strict": random.random() < 0.5}
    return random.choice(({"type": "json_object"}, {"type": "json_schema", "json_schema": named}))


def chat_body(random: Random, model: str, vocabulary: int) -> dict[str, Any]:
    """A chat request with a short answer, so that many requests fit into a minute."""
    body = {"model": model, "messages": messages(random), **parameters(random, vocabulary)}
    for name in ("max_completion_tokens", "n"):
        body.pop(name, None)
    body["max_tokens"] = random.randint(1, LONGEST_ANSWER)
    if random.random() < 0.2:
        body["n"] = random.randint(1, 3)
    if random.random() < 0.3:
        body |= tools(random)
    if random.random() < 0.3:
        body["response_format"] = response_format(random)
    if random.random() < 0.1:
        body |= {"user": "u-1", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"}
    return body


def tokenize_body(random: Random, model: str) -> dict[str, Any]:
    given = {"messages": messages(random)} if random.random() < 0.5 else {"text": some_words(random, 9)}
    return {"model": model, **given}
