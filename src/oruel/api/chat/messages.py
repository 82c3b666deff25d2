"""The kinds of messages: a union of objects, one for each role. Each is parsed into a Message."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from oruel.contract.functions import MAX_TOOLS, NAME_PATTERN, ReplacedField
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

text_only = "this model accepts only text."

text_part = Object(
    {
        "type": StringEnum(("text",)),
        "text": String(),
        "prompt_cache_breakpoint": Unsupported("prompts are cached automatically."),
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
                "image_url": Unsupported(f"its type is image_url, and {text_only}"),
                "input_audio": Unsupported(f"its type is input_audio, and {text_only}"),
                "video_url": Unsupported(f"its type is video_url, and {text_only}"),
                "file": Unsupported(f"its type is file, and {text_only}"),
                "refusal": Unsupported(f"its type is refusal, and {text_only}"),
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
    """`content` may be absent or null if another field says something, as in answers."""

    def parse(self, value: object, path: str) -> Message:
        message: Message = super().parse(value, path)
        if not (message.content or message.tool_calls or message.reasoning_content) and not has_content(value):
            raise InvalidParameter(
                f"{path} has neither content nor tool_calls. Send what the assistant said, or leave the message out.",
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
    """A string that contains a JSON object: the arguments of a call."""

    def parse(self, value: object, path: str) -> str:
        # For a function without arguments, some servers send an empty string.
        text = String().parse(value, path).strip() or "{}"
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise InvalidParameter(
                f'{path} must be {self}, but is "{abbreviate(text)}". If an answer was cut off within a call, leave '
                "that call out.",
                param=path,
            )
        FreeObject(10_000, maximum_values=100_000, maximum_depth=64).parse(arguments, path)
        return text

    def schema(self) -> JSONSchema:
        return {"type": "string"}

    def __str__(self) -> str:
        return "a string that contains a JSON object"


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
    "annotations": Unsupported("models can't be shown annotations.", neutral=([],)),
    "tool_calls": Array(TOOL_CALL, maximum=MAX_TOOLS),
    "function_call": ReplacedField("it was replaced by tool_calls. Send tool_calls instead."),
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
            "function": ReplacedField("its role is function, which was replaced by tool. Send the role tool instead."),
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
    """Returns the messages, with the name of its function in each tool message. Raises InvalidParameter unless each
    message with calls is followed by exactly one result per call.
    """
    waiting: dict[str, PendingCall] = {}
    matched: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            matched.append(named_result(message, waiting, f"messages[{index}]"))
            continue
        require_results(waiting, f"before messages[{index}]")
        waiting = pending_calls(message, f"messages[{index}]")
        matched.append(message)
    require_results(waiting, "after it")
    return tuple(matched)


def pending_calls(message: Message, path: str) -> dict[str, PendingCall]:
    """The message's calls by id. Raises InvalidParameter for a duplicate id."""
    calls: dict[str, PendingCall] = {}
    for number, call in enumerate(message.tool_calls):
        where = f"{path}.tool_calls[{number}].id"
        if call.id in calls:
            raise InvalidParameter(
                f'{where} is "{abbreviate(call.id)}", as is {calls[call.id].path}. Give each call a different id.',
                param=where,
            )
        calls[call.id] = PendingCall(call.name, where)
    return calls


def named_result(message: Message, waiting: dict[str, PendingCall], path: str) -> Message:
    """Returns the tool message with the name of its function, and removes the call from `waiting`."""
    assert message.tool_call_id is not None
    call = waiting.pop(message.tool_call_id, None)
    if call is None:
        raise InvalidParameter(
            f'{path}.tool_call_id is "{abbreviate(message.tool_call_id)}", but the preceding assistant message has '
            "no call with this id that still needs a result. Send the assistant's tool_calls, and one result for each.",
            param=f"{path}.tool_call_id",
        )
    return replace(message, name=message.name or call.name)


def require_results(waiting: dict[str, PendingCall], where: str) -> None:
    for call_id, call in waiting.items():
        raise InvalidParameter(
            f'{call.path} is "{abbreviate(call_id)}", but no tool message {where} has its result. After an '
            "assistant message with tool_calls, send one tool message for each tool_call_id.",
            param=call.path,
        )
