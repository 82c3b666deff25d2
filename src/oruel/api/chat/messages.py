"""The kinds of messages: a union of objects that their role tells apart. Each is parsed into a Message."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from oruel.contract.functions import MAX_TOOLS, NAME_PATTERN
from oruel.contract.kinds import (
    Array,
    FreeObject,
    Integer,
    JSONSchema,
    Kind,
    Object,
    String,
    StringEnum,
    StringOrArray,
    TaggedUnion,
    Unsupported,
    abbreviate,
)
from oruel.errors import InvalidParameter
from oruel.types import Message, Role, ToolCall

MAX_MESSAGES = 4096
MAX_PARTS = 4096

text_only = "this model supports text only."
no_functions = "function calls in this form were replaced by tool_calls, and their results by messages of role tool."

text_part = Object(
    {
        "type": StringEnum(("text",)),
        "text": String(),
        "prompt_cache_breakpoint": Unsupported("prompts are cached by themselves."),
    },
    required=("type", "text"),
    build=lambda given: given["text"],
)

content = StringOrArray(
    String(),
    Array(
        TaggedUnion(
            "type",
            {
                "text": text_part,
                "image_url": Unsupported(f"it is of type image_url, and {text_only}"),
                "input_audio": Unsupported(f"it is of type input_audio, and {text_only}"),
                "video_url": Unsupported(f"it is of type video_url, and {text_only}"),
                "file": Unsupported(f"it is of type file, and {text_only}"),
                "refusal": Unsupported(f"it is of type refusal, and {text_only}"),
            },
        ),
        minimum=1,
        maximum=MAX_PARTS,
    ),
)


def message_kind(sent_as: Role | Literal["developer"], extra: dict[str, Kind], required: tuple[str, ...]) -> Object:
    fields: dict[str, Kind] = {"role": StringEnum((sent_as,)), "content": content, "name": String(1, 64)}
    role: Role = "system" if sent_as == "developer" else sent_as
    kind = AssistantMessage if role == "assistant" else Object
    return kind(fields | extra, required=("role", *required), build=partial(build_message, role))


class AssistantMessage(Object):
    """`content` may be left out if another field has content, as in answers."""

    def parse(self, value: object, path: str) -> Message:
        message: Message = super().parse(value, path)
        if not (message.content or message.tool_calls or message.reasoning_content) and not has_content(value):
            raise InvalidParameter(
                f"{path} has neither content nor tool_calls: send what the assistant said, or leave the message out.",
                param=f"{path}.content",
            )
        return message

    def schema(self) -> JSONSchema:
        says = {"content": {"not": {"type": "null"}}, "tool_calls": {"type": "array", "minItems": 1}}
        says |= {name: {"type": "string", "minLength": 1} for name in ("reasoning_content", "refusal")}
        needs_one = [{"required": [name], "properties": {name: value}} for name, value in says.items()]
        return super().schema() | {"anyOf": needs_one}


def has_content(value: object) -> bool:
    return isinstance(value, dict) and value.get("content") is not None


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
class JsonObjectString:
    """A string that contains a JSON object, as models write the arguments of a call."""

    def parse(self, value: object, path: str) -> str:
        # Some servers write nothing for a function without arguments.
        text = String().parse(value, path).strip() or "{}"
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
        "type": StringEnum(("function",)),
        "function": Object(
            {"name": String(1, 64, NAME_PATTERN), "arguments": JsonObjectString()}, required=("name", "arguments")
        ),
        "index": Integer(0, MAX_TOOLS),
    },
    required=("id", "function"),
    build=build_call,
)


ASSISTANT_FIELDS: dict[str, Kind] = {
    "reasoning_content": String(),
    "refusal": String(),
    "annotations": Unsupported("annotations: this model can't be shown them.", neutral=([],)),
    "tool_calls": Array(TOOL_CALL, maximum=MAX_TOOLS),
    "function_call": Unsupported(no_functions),
    "audio": Unsupported(text_only),
}

MESSAGES = Array(
    TaggedUnion(
        "role",
        {
            "system": message_kind("system", {}, ("content",)),
            "developer": message_kind("developer", {}, ("content",)),
            "user": message_kind("user", {}, ("content",)),
            "assistant": message_kind("assistant", ASSISTANT_FIELDS, ()),
            "tool": message_kind("tool", {"tool_call_id": String(1, 128)}, ("content", "tool_call_id")),
            "function": Unsupported(no_functions),
        },
    ),
    minimum=1,
    maximum=MAX_MESSAGES,
)


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that waits for its result, and the path of its id."""

    name: str
    path: str


def match_tool_results(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same messages, each tool message with the name of its function. Raises InvalidParameter if calls and results
    don't match: all results of a message's calls have to follow it, one per call.
    """
    waiting: dict[str, PendingCall] = {}
    told: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            told.append(result(message, waiting, f"messages[{index}]"))
            continue
        require_results(waiting, f"before messages[{index}]")
        waiting = pending_calls(message, f"messages[{index}]")
        told.append(message)
    require_results(waiting, "in what follows")
    return tuple(told)


def pending_calls(message: Message, path: str) -> dict[str, PendingCall]:
    """The message's calls by id. Raises InvalidParameter for a duplicate id."""
    calls: dict[str, PendingCall] = {}
    for number, call in enumerate(message.tool_calls):
        where = f"{path}.tool_calls[{number}].id"
        if call.id in calls:
            raise InvalidParameter(
                f'{where} is "{abbreviate(call.id)}", as is {calls[call.id].path}. Give each call an id of its own.',
                param=where,
            )
        calls[call.id] = PendingCall(call.name, where)
    return calls


def result(message: Message, waiting: dict[str, PendingCall], path: str) -> Message:
    """The tool message with the name of its function. Removes the call from `waiting`."""
    assert message.tool_call_id is not None
    call = waiting.pop(message.tool_call_id, None)
    if call is None:
        raise InvalidParameter(
            f'{path}.tool_call_id is "{abbreviate(message.tool_call_id)}", but the assistant message before it has no '
            "unanswered call of that id. Send the assistant's tool_calls too, and one answer to each.",
            param=f"{path}.tool_call_id",
        )
    return replace(message, name=message.name or call.name)


def require_results(waiting: dict[str, PendingCall], where: str) -> None:
    for call_id, call in waiting.items():
        raise InvalidParameter(
            f'{call.path} is "{abbreviate(call_id)}", but no tool message {where} answers it. After an assistant '
            "message with tool_calls, send one tool message for each tool_call_id.",
            param=call.path,
        )
