"""The kinds of messages: a union of objects told apart by their role, each parsed into a Message."""

from functools import partial
from typing import Any

from oruel.kinds import Array, Choice, Either, Kind, Object, Refused, String, Tagged
from oruel.types import Message, Role

MAX_MESSAGES = 4096
MAX_PARTS = 4096

text_only = "this model takes text only."
no_tools = "tool calls are not served by this version yet."

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
    )


ASSISTANT_FIELDS: dict[str, Kind] = {
    "reasoning_content": String(),
    "refusal": String(),
    "annotations": Refused("annotations: this model can't be shown them.", neutral=([],)),
    "tool_calls": Refused(no_tools, neutral=([],)),
    "function_call": Refused(no_tools),
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
            "tool": Refused(no_tools),
            "function": Refused(no_tools),
        },
    ),
    minimum=1,
    maximum=MAX_MESSAGES,
)
