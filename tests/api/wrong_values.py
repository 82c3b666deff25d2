"""Invalid values for every parameter, each with the name of the field in its refusal."""

from typing import Any

from tests.api.conftest import nested, schema, tool

NUMBERS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "repetition_penalty": (0.1, 3),
}
INTEGERS = {
    "top_k": (0, 200),
    "seed": (-(2**63), 2**63 - 1),
    "max_tokens": (1, 131072),
    "max_completion_tokens": (1, 131072),
    "n": (1, 8),
    "top_logprobs": (0, 20),
}
BOOLEANS = ("stream", "logprobs", "parallel_tool_calls")

NOT_A_NUMBER = ["0.7", "", True, False, [], [1], {}, {"a": 1}]
Row = tuple[dict[str, Any], str]


def rows() -> list[Row]:
    wrong: list[Row] = []
    values: list[Any]
    for name, (low, high) in NUMBERS.items():
        values = [*NOT_A_NUMBER, low - 0.01, high + 0.01, -1e308, 1e308, 10**400, -(10**400)]
        wrong += [({name: value}, name) for value in values]
    for name, (low, high) in INTEGERS.items():
        values = [*NOT_A_NUMBER, low - 1, high + 1, 1.5, 1e300, 10**400]
        wrong += [({name: value}, name) for value in values]
    for name in BOOLEANS:
        values = [0, 1, "true", "", [], {}]
        wrong += [({name: value}, name) for value in values]
    return wrong


WRONG_STOPS: list[tuple[Any, str]] = [
    ("", "stop"), ("x" * 257, "stop"), (1, "stop"), (True, "stop"), ({}, "stop"), (["x"] * 5, "stop"),
    ([""], "stop[0]"), (["a", 1], "stop[1]"), (["a", None], "stop[1]"), (["a", ["b"]], "stop[1]"),
    (["a", "b", "é" * 257], "stop[2]"),
]  # fmt: skip
STOPS: list[Row] = [({"stop": value}, param) for value, param in WRONG_STOPS]

WRONG_BIASES: list[tuple[Any, str]] = [
    ([], "logit_bias"), ("x", "logit_bias"), (1, "logit_bias"), ({"1": 101}, "logit_bias.1"),
    ({"1": -101}, "logit_bias.1"), ({"1": "5"}, "logit_bias.1"), ({"1": None}, "logit_bias.1"),
    ({"1": True}, "logit_bias.1"), ({"x": 1}, "logit_bias"), ({"-1": 1}, "logit_bias"), ({"01": 1}, "logit_bias"),
    ({"1.0": 1}, "logit_bias"), ({" 1": 1}, "logit_bias"), ({"": 1}, "logit_bias"), ({"١": 1}, "logit_bias"),
    ({"9" * 5000: 1}, "logit_bias"), ({"1000": 1}, "logit_bias"), ({"999999999": 1}, "logit_bias"),
    ({str(i): 0 for i in range(1025)}, "logit_bias"),
]  # fmt: skip
BIASES: list[Row] = [({"logit_bias": value}, param) for value, param in WRONG_BIASES]

OBJECTS: list[Row] = [
    ({"response_format": "text"}, "response_format"),
    ({"response_format": []}, "response_format"),
    ({"response_format": {}}, "response_format.type"),
    ({"response_format": {"type": None}}, "response_format.type"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": ["text"]}}, "response_format.type"),
    ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema"),
    ({"response_format": {"type": "json_object"}}, "messages"),
    ({"response_format": {"type": "json_object", "schema": {}}}, "response_format.schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema"),
    (schema({"type": "wat"}), "response_format.json_schema.schema"),
    (schema({"$ref": "#/$defs/none"}), "response_format.json_schema.schema"),
    (schema({"$ref": "http://example.com/schema"}), "response_format.json_schema.schema"),
    (schema({"type": "integer", "minimum": 5, "maximum": 3}), "response_format.json_schema.schema"),
    (schema({"type": "string", "pattern": "(?=a)b"}, strict=True), "response_format.json_schema.schema"),
    (schema({"type": "string", "pattern": "("}), "response_format.json_schema.schema"),
    (schema({"enum": [str(number) for number in range(20_000)]}), "response_format.json_schema.schema"),
    (schema(nested(100)), "response_format.json_schema.schema"),
    (schema({"type": "integer", "divisibleBy": 2}, strict=True), "response_format.json_schema.schema"),
    (schema({"type": "string", "pattern": "^.*a.{60}b.*c.{40}d$"}, strict=True), "response_format.json_schema.schema"),
    (schema({"$ref": "#"}), "response_format.json_schema.schema"),
    (
        schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        "response_format.json_schema.schema",
    ),
    (
        {"tools": [tool("g"), tool("f", {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})]},
        "tools[1].function.parameters",
    ),
    (schema({"type": "string", "pattern": "^a$", "minLength": 3}), "response_format.json_schema.schema"),
    (schema({"type": "object", "disallow": "string"}, strict=True), "response_format.json_schema.schema"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream_options": {"include_usage": True}, "stream": False}, "stream_options"),
    ({"stream_options": {"include_usage": 1}, "stream": True}, "stream_options.include_usage"),
    ({"stream_options": {"include_use": True}, "stream": True}, "stream_options.include_use"),
    ({"stream_options": True, "stream": True}, "stream_options"),
    ({"stream_options": {"include_obfuscation": True}, "stream": True}, "stream_options.include_obfuscation"),
    ({"tools": [tool("f"), tool("g"), tool("f")]}, "tools"),
    ({"tools": [tool(f"f{number}") for number in range(129)]}, "tools"),
    ({"tools": [tool("no spaces")]}, "tools[0].function.name"),
    ({"tools": [tool("f", {"type": "array"})]}, "tools[0].function.parameters.type"),
    ({"tools": [tool("f"), tool("g", nested(100))]}, "tools[1].function.parameters"),
    ({"tools": [tool("f", {"type": "object", "not": {}}, strict=True)]}, "tools[0].function.parameters"),
    ({"tools": [tool("f")], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
    ({"tools": [tool("f")], "tool_choice": "any"}, "tool_choice"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": {}}, "tools"),
    ({"tools": "f"}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
    ({"tier": "fast"}, "tier"),
    ({"tier": "Turbo"}, "tier"),
    ({"tier": 1}, "tier"),
    ({"tier": ""}, "tier"),
    ({"trace": 5}, "trace"),
    ({"chat_template_kwargs": []}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"enable_thinkin": True}}, "chat_template_kwargs.enable_thinkin"),
    ({"chat_template_kwargs": {str(i): 1 for i in range(17)}}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"enable_thinking": [[[[[[[[[1]]]]]]]]]}}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"enable_thinking": [0] * 2000}}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"enable_thinking": "\ud800"}}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"enable_thinking": {"\udfff": 1}}}, "chat_template_kwargs"),
]

TOGETHER: list[Row] = [
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
    ({"top_logprobs": 1}, "top_logprobs"),
    ({"top_logprobs": 1, "logprobs": False}, "top_logprobs"),
]

WRONG_MODELS: list[Any] = [None, "", 1, [], {}, "x" * 257, "\ud800"]
MODELS: list[Row] = [({"model": value}, "model") for value in WRONG_MODELS]

OPENAIS: list[Row] = [
    ({"store": True}, "store"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"user": 1}, "user"),
    ({"user": "x" * 2000}, "user"),
    ({"user": "\udc00"}, "user"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"metadata": {str(i): "" for i in range(17)}}, "metadata"),
    ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 40}…"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k"),
    ({"metadata": []}, "metadata"),
    ({"audio": {"voice": "x", "format": "wav"}}, "audio"),
    ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": {"name": "f"}}, "function_call"),
    ({"verbosity": "low"}, "verbosity"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"moderation": {"model": "m"}}, "moderation"),
]

user = {"role": "user", "content": "hi"}


def calling(*ids: str, arguments: str = "{}") -> dict[str, Any]:
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id: str) -> dict[str, Any]:
    return {"role": "tool", "content": "x", "tool_call_id": id}


WRONG_MESSAGES: list[tuple[Any, str]] = [
    (None, "messages"), ([], "messages"), ({}, "messages"), ("hi", "messages"), (1, "messages"),
    ([user] * 4097, "messages"), (["hi"], "messages[0]"), ([None], "messages[0]"), ([user, []], "messages[1]"),
    ([{}], "messages[0].role"), ([{"content": "hi"}], "messages[0].role"),
    ([{"role": None, "content": "hi"}], "messages[0].role"), ([{"role": 1}], "messages[0].role"),
    ([{"role": "wizard", "content": "hi"}], "messages[0].role"),
    ([user, {"role": "User", "content": "hi"}], "messages[1].role"),
    ([{"role": "user"}], "messages[0].content"), ([{"role": "user", "content": None}], "messages[0].content"),
    ([{"role": "system", "content": None}], "messages[0].content"),
    ([user, user, {"role": "user", "content": 5}], "messages[2].content"),
    ([{"role": "user", "content": {}}], "messages[0].content"),
    ([{"role": "user", "content": []}], "messages[0].content"),
    ([{"role": "user", "content": "\ud83d"}], "messages[0].content"),
    ([{"role": "user", "content": ["hi"]}], "messages[0].content[0]"),
    ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
    ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "messages[0].content[0].text"),
    ([{"role": "user", "content": [{"type": "text", "text": "\ude00"}]}], "messages[0].content[0].text"),
    ([{"role": "user", "content": [{"text": "hi"}]}], "messages[0].content[0].type"),
    ([{"role": "user", "content": [{"type": "txt", "text": "hi"}]}], "messages[0].content[0].type"),
    (
        [{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "image_url", "image_url": {}}]}],
        "messages[0].content[1]",
    ),
    ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "messages[0].content[0]"),
    ([{"role": "user", "content": [{"type": "file", "file": {}}]}], "messages[0].content[0]"),
    ([{"role": "user", "content": "hi", "nme": "x"}], "messages[0].nme"),
    ([{"role": "user", "content": "hi", "name": ""}], "messages[0].name"),
    ([{"role": "user", "content": "hi", "reasoning_content": "x"}], "messages[0].reasoning_content"),
    ([{"role": "assistant", "content": "", "tool_calls": [{}]}], "messages[0].tool_calls[0].id"),
    (
        [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a": '}}]}],
        "messages[0].tool_calls[0].function.arguments",
    ),
    (
        [user, {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
         {"role": "tool", "content": "x", "tool_call_id": "1"}, {"role": "tool", "content": "x", "tool_call_id": "1"}],
        "messages[3].tool_call_id",
    ),
    ([user, {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
    ([{"role": "assistant", "content": "", "function_call": {}}], "messages[0].function_call"),
    ([{"role": "assistant", "content": "", "annotations": [1]}], "messages[0].annotations"),
    ([{"role": "assistant", "content": "", "audio": {"id": "x"}}], "messages[0].audio"),
    ([{"role": "assistant", "content": "", "refusal": 1}], "messages[0].refusal"),
    ([user, {"role": "tool", "content": "x", "tool_call_id": "1"}], "messages[1].tool_call_id"),
    ([user, calling("1")], "messages[1].tool_calls[0].id"),
    ([user, calling("1", "2"), result("2")], "messages[1].tool_calls[0].id"),
    ([user, calling("1", "2"), result("1"), user, result("2")], "messages[1].tool_calls[1].id"),
    ([user, calling("1"), user, result("1")], "messages[1].tool_calls[0].id"),
    ([user, calling("1"), calling("2"), result("1"), result("2")], "messages[1].tool_calls[0].id"),
    ([user, calling("1", "1"), result("1"), result("1")], "messages[1].tool_calls[1].id"),
    ([user, calling("1"), result("1"), user, result("1")], "messages[4].tool_call_id"),
    ([user, {"role": "assistant"}], "messages[1].content"),
    ([user, {"role": "assistant", "content": None}], "messages[1].content"),
    ([user, {"role": "assistant", "content": None, "tool_calls": []}], "messages[1].content"),
    ([user, {"role": "assistant", "refusal": None, "reasoning_content": ""}], "messages[1].content"),
    ([{"role": "function", "content": "x", "name": "f"}], "messages[0]"),
]  # fmt: skip
MESSAGES: list[Row] = [({"messages": value}, param) for value, param in WRONG_MESSAGES]

ROWS = [*rows(), *STOPS, *BIASES, *OBJECTS, *TOGETHER, *MODELS, *OPENAIS, *MESSAGES]
