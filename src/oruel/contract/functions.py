"""The kinds of tools and tool_choice. Values that only other APIs accept are refused with what to send instead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oruel.contract.kinds import (
    Boolean,
    FreeObject,
    JSONSchema,
    Kind,
    Object,
    String,
    StringEnum,
    TaggedUnion,
    Unsupported,
    invalid_value,
    nearest,
)

MAX_TOOLS = 128
NAME_PATTERN = "^[a-zA-Z0-9_-]{1,64}$"
SCHEMA = FreeObject(10_000, maximum_values=10_000, maximum_depth=64)


@dataclass(frozen=True)
class ArgumentsSchema(FreeObject):
    """The JSON Schema of a function's arguments. Its type must be object, or absent, since arguments are named."""

    def schema(self) -> JSONSchema:
        return super().schema() | {"properties": {"type": {"const": "object"}}}


@dataclass(frozen=True)
class StringOrObject:
    """One of several strings, or an object. `elsewhere` maps values of other APIs to those of this one."""

    values: tuple[str, ...]
    other: TaggedUnion
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def parse(self, value: object, path: str) -> Any:
        if isinstance(value, dict):
            return self.other.parse(value, path)
        if not isinstance(value, str) or value not in self.values:
            raise invalid_value(self, value, path, self._hint(value))
        return value

    def _hint(self, value: object) -> str:
        if isinstance(value, str) and value in self.elsewhere:
            return f' Send "{self.elsewhere[value]}".'
        return nearest(value, self.values)

    def schema(self) -> JSONSchema:
        return {"anyOf": [StringEnum(self.values).schema(), self.other.schema()]}

    def __str__(self) -> str:
        return f"{StringEnum(self.values)}, or {self.other}"


@dataclass(frozen=True)
class ReplacedField(Unsupported):
    """A feature that works differently here. `reason` says what to send instead."""

    @property
    def advice(self) -> str:
        return ""


function_kind = Object(
    {
        "type": StringEnum(("function",)),
        "function": Object(
            {
                "name": String(1, 64, NAME_PATTERN),
                "description": String(0, 32768),
                "parameters": ArgumentsSchema(10_000, maximum_values=10_000, maximum_depth=64),
                "strict": Boolean(),
            },
            required=("name",),
        ),
    },
    required=("type", "function"),
    elsewhere=dict.fromkeys(
        ("name", "description", "parameters", "strict"),
        'It belongs in function: {"type": "function", "function": {"name": …, "parameters": …}}.',
    ),
)
named_function = Object(
    {
        "type": StringEnum(("function",)),
        "function": Object({"name": String(1, 64, NAME_PATTERN)}, required=("name",)),
    },
    required=("type", "function"),
    elsewhere={"name": 'It belongs in function: {"type": "function", "function": {"name": …}}.'},
)
custom_tool = ReplacedField(
    "its type is custom, which takes free text. Declare a function with a string parameter instead."
)
HOSTED_TYPES = ("code_interpreter", "computer_use_preview", "file_search", "image_generation", "mcp", "web_search")
hosted_tools: dict[str, Kind] = {
    name: ReplacedField(
        f"its type is {name}, and this server runs no tools. Declare a function, and run it when the model calls it."
    )
    for name in (*HOSTED_TYPES, "web_search_preview")
}
other_choices: dict[str, Kind] = {
    "allowed_tools": ReplacedField(
        'its type is allowed_tools. Send only the allowed tools in tools, and the string "auto" or "required" here.'
    ),
    "custom": ReplacedField('its type is custom. Send {"type": "function", "function": {"name": …}}.'),
    "tool": ReplacedField('its type is tool. Send {"type": "function", "function": {"name": …}}.'),
    "any": ReplacedField('its type is any. Send the string "required".'),
    "auto": ReplacedField('its type is auto. Send the string "auto".'),
    "none": ReplacedField('its type is none. Send the string "none".'),
}
