"""The kinds of messages: a union of objects told apart by their role, each parsed into a Message."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from oruel.errors import InvalidParameter
from oruel.kinds import (
    Array,
    Choice,
    Either,
    FreeObject,
    Integer,
    JSONSchema,
    Kind,
    Object,
    Refused,
    String,
    Tagged,
    abbreviate,
)
from oruel.parameters import MAX_TOOLS, NAME_PATTERN
from oruel.types import Message, Role, ToolCall

MAX_MESSAGES = 4096
MAX_PARTS = 4096

text_only = "this model takes text only."
no_functions = "function calls in this form were replaced by tools."

text_part = Object(
    {
        "type": Choice(("text",)),
        "text": String(),
        "prompt_cache_breakpoint": Refused("prompts are cached by themselves."),
    },
    required=("type", "text"),
    build=lambda given: given["text"],
)

content = Either(
    String(),
    Array(
        Tagged(
            "type",
            {
                "text": text_part,
                "image_url": Refused(f"it is of type image_url, and {text_only}"),
                "input_audio": Refused(f"it is of type input_audio, and {text_only}"),
                "video_url": Refused(f"it is of type video_url, and {text_only}"),
                "file": Refused(f"it is of type file, and {text_only}"),
                "refusal": Refused(f"it is of type refusal, and {text_only}"),
            },
        ),
        minimum=1,
        maximum=MAX_PARTS,
    ),
)


def message_kind(sent_as: str, role: Role, extra: dict[str, Kind], required: tuple[str, ...]) -> Object:
    fields: dict[str, Kind] = {"role": Choice((sent_as,)), "content": content, "name": String(1, 64)}
    return Object(fields | extra, required=("role", *required), build=partial(build_message, role))


def build_message(role: Role, given: dict[str, Any]) -> Message:
    return Message(
        role=role,
        content="".join(given.get("content", ())) + given.get("refusal", ""),
        name=given.get("name"),
        reasoning_content=given.get("reasoning_content"),
        tool_calls=given.get("tool_calls", ()),
        tool_call_id=given.get("tool_call_id"),
    )


def build_call(given: dict[str, Any]) -> ToolCall:
    return ToolCall(given["id"], given["function"]["name"], given["function"]["arguments"])


@dataclass(frozen=True)
class JsonObject:
    """A string that holds a JSON object, as models write the arguments of a call."""

    def parse(self, value: object, path: str) -> str:
        text = String().parse(value, path)
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise InvalidParameter(
                f'{path} must be {self}, but is "{abbreviate(text)}". Where an answer was cut inside a call, leave '
                "that call out.",
                param=path,
            )
        FreeObject(10_000, maximum_values=100_000, maximum_depth=64).parse(arguments, path)
        return text

    def schema(self) -> JSONSchema:
        return {"type": "string"}

    def __str__(self) -> str:
        return "a string that holds a JSON object"


TOOL_CALL = Object(
    {
        "id": String(1, 128),
        "type": Choice(("function",)),
        "function": Object(
            {"name": String(1, 64, NAME_PATTERN), "arguments": JsonObject()}, required=("name", "arguments")
        ),
        "index": Integer(0, MAX_TOOLS),
    },
    required=("id", "function"),
    build=build_call,
)


ASSISTANT_FIELDS: dict[str, Kind] = {
    "reasoning_content": String(),
    "refusal": String(),
    "annotations": Refused("annotations: this model can't be shown them.", neutral=([],)),
    "tool_calls": Array(TOOL_CALL, maximum=MAX_TOOLS),
    "function_call": Refused(no_functions),
    "audio": Refused(text_only),
}

MESSAGES = Array(
    Tagged(
        "role",
        {
            "system": message_kind("system", "system", {}, ("content",)),
            "developer": message_kind("developer", "system", {}, ("content",)),
            "user": message_kind("user", "user", {}, ("content",)),
            "assistant": message_kind("assistant", "assistant", ASSISTANT_FIELDS, ()),
            "tool": message_kind("tool", "tool", {"tool_call_id": String(1, 128)}, ("content", "tool_call_id")),
            "function": Refused(no_functions),
        },
    ),
    minimum=1,
    maximum=MAX_MESSAGES,
)


def answered(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same, each tool's message with the name of the function it answers for. Raises InvalidParameter where it
    answers no call before it, or one that is answered already.
    """
    names: dict[str, str] = {}
    told: list[Message] = []
    for index, message in enumerate(messages):
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role != "tool":
            told.append(message)
            continue
        assert message.tool_call_id is not None
        name = names.pop(message.tool_call_id, None)
        if name is None:
            raise InvalidParameter(
                f'messages[{index}].tool_call_id is "{abbreviate(message.tool_call_id)}", but no assistant message '
                "before it has an unanswered call of that id. Send the assistant's tool_calls too, and one answer "
                "to each.",
                param=f"messages[{index}].tool_call_id",
            )
        told.append(replace(message, name=message.name or name))
    return tuple(told)
