"""Adversarial schemas, and requests that a model or its template does not support, are a 400 and affect no one else."""

import asyncio
import json
import re
from typing import Any

import pytest

from oruel.api.chat.completion import AnswerMessage
from oruel.errors import InvalidParameter
from oruel.text.prompt.template import ChatTemplate
from oruel.types import ChatRequest, ToolCallDelta, Usage
from tests.api.conftest import CHAT, Client, chat, converse, nested, schema, tool
from tests.fakes import FakeBackend, delta, doing, until

pytestmark = pytest.mark.anyio

HOSTILE: dict[str, tuple[str, str]] = {
    "nesting of 1,000": ("response_format", json.dumps(schema({"deep": 0}))),
    "a tool's nesting of 1,000": ("tools", json.dumps({"tools": [tool("f", {"deep": 0})]})),
    "nesting of 100": ("response_format", json.dumps(schema(nested(100)))),
    "a pattern that refers back": ("response_format", json.dumps(schema({"pattern": r"^(.*)\1$"}))),
    "a choice of 20,000": (
        "tools",
        json.dumps({"tools": [tool("f", {"properties": {"a": {"enum": [*range(20_000)]}}})]}),
    ),
    "10,000 properties": (
        "response_format",
        json.dumps(schema({"properties": {f"name{number}": {"type": "string"} for number in range(10_000)}})),
    ),
    "a tool with only endless calls": (
        "tools",
        json.dumps(
            {"tools": [tool("f", {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#"}})]}
        ),
    ),
}
DEEP = '"properties": {"a": {' * 1000 + "}}" * 1000


@pytest.mark.parametrize(("field", "fields"), HOSTILE.values(), ids=HOSTILE)
async def test_an_adversarial_schema_is_refused_without_stopping_other_streams(
    client: Client, backend: FakeBackend, field: str, fields: str
) -> None:
    gate = asyncio.Event()
    backend.script = doing(delta("a"), gate, delta("b"), delta(finish="stop", usage=Usage(1, 2)))
    streaming = asyncio.create_task(converse(client, asyncio.Event(), b"never"))
    await until(lambda: len(backend.requests) == 1)
    body = json.dumps(chat())[:-1] + ", " + fields[1:].replace('"deep": 0', DEEP)
    refused = await client.post(CHAT, content=body, headers={"content-type": "application/json"})
    gate.set()
    said = [json.loads(event.removeprefix("data: ")) for event in (await streaming)[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in said) == "ab"
    error = refused.json()["error"]
    assert refused.status_code == 400
    assert re.split(r"\W", error["param"])[0] == field
    assert len(error["message"]) < 1000
    assert len(backend.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_template_that_rejects_the_messages_is_a_400_with_its_message(
    client: Client, backend: FakeBackend, stream: bool
) -> None:
    template = ChatTemplate("{% if messages | length > 2 %}{{ raise_exception('Two turns at most!') }}{% endif %}")

    def script(request: ChatRequest) -> list[Any]:
        try:
            template.render(request.messages, {})
        except InvalidParameter as error:
            return [error]
        return [delta("fine"), delta(finish="stop", usage=Usage(1, 2))]

    backend.script = script
    hi = {"role": "user", "content": "hi"}
    refused = await client.post(CHAT, json=chat(messages=[hi] * 3, stream=stream))
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["type"]) == (400, "messages", "invalid_request_error")
    assert "Two turns at most" in error["message"]
    assert (await client.post(CHAT, json=chat(stream=stream))).status_code == 200


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high"])
async def test_reasoning_effort_is_refused_by_a_model_that_does_not_reason(
    client: Client, backend: FakeBackend, effort: str
) -> None:
    error = (await client.post(CHAT, json=chat(reasoning_effort=effort))).json()["error"]
    assert (error["param"], error["code"]) == ("reasoning_effort", "unsupported_parameter")
    assert "doesn't reason" in error["message"]
    assert backend.requests == []
    assert (await client.post(CHAT, json=chat(reasoning_effort="none"))).status_code == 200


async def test_an_assistant_message_accepts_every_field_of_an_answer(client: Client, backend: FakeBackend) -> None:
    call = ToolCallDelta(0, "call_1", "f"), ToolCallDelta(0, arguments='{"a": 1}')
    backend.script = doing(
        delta("said", reasoning="thought"), delta(tool_calls=call), delta(finish="tool_calls", usage=Usage(1, 2))
    )
    message = (await client.post(CHAT, json=chat(tools=[tool("f")]))).json()["choices"][0]["message"]
    assert set(message) == set(AnswerMessage.__struct_fields__)
    result = {"role": "tool", "content": "x", "tool_call_id": "call_1"}
    # What OpenAI's own client adds when it writes the message out.
    more: dict[str, Any] = {"annotations": [], "audio": None, "function_call": None}
    for sent in (message, message | more):
        response = await client.post(CHAT, json=chat(messages=[sent, result]))
        assert response.status_code == 200, response.text
    taken = backend.requests[-1].messages[0]
    assert (taken.content, taken.reasoning_content) == ("said", "thought")
    assert [(call.id, call.name, call.arguments) for call in taken.tool_calls] == [("call_1", "f", '{"a": 1}')]
