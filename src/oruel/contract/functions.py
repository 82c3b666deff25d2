"""The kinds of tools and of tool_choice. For values of other APIs or later versions, the error says what to send
instead.
"""

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
    """The JSON Schema of a call's arguments. Arguments have names, so its type is object, or left out."""

    def schema(self) -> JSONSchema:
        return super().schema() | {"properties": {"type": {"const": "object"}}}


@dataclass(frozen=True)
class StringOrObject:
    """One of some strings, or an object. `elsewhere` maps strings of other APIs to ours."""

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
        return f"{StringEnum(self.values)} or {self.other}"


@dataclass(frozen=True)
class ReplacedField(Unsupported):
    """A feature that works differently here; the reason says how."""

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
        'It belongs into function: {"type": "function", "function": {"name": …, "parameters": …}}.',
    ),
)
named_function = Object(
    {
        "type": StringEnum(("function",)),
        "function": Object({"name": String(1, 64, NAME_PATTERN)}, required=("name",)),
    },
    required=("type", "function"),
    elsewhere={"name": 'It belongs into function: {"type": "function", "function": {"name": …}}.'},
)
custom_tool = ReplacedField(
    "it is of type custom, whose input is free text. Declare a function with one string among its parameters."
)
SERVERS_OWN = ("code_interpreter", "computer_use_preview", "file_search", "image_generation", "mcp", "web_search")
servers_tools: dict[str, Kind] = {
    name: ReplacedField(
        f"it is of type {name}, and this server runs no tools. Declare a function and run it when called."
    )
    for name in (*SERVERS_OWN, "web_search_preview")
}
other_choices: dict[str, Kind] = {
    "allowed_tools": ReplacedField(
        'it is of type allowed_tools. Leave the others out of tools; send "auto" or "required".'
    ),
    "custom": ReplacedField('it is of type custom. Send {"type": "function", "function": {"name": …}}.'),
    "tool": ReplacedField('it is of type tool. Send {"type": "function", "function": {"name": …}}.'),
    "any": ReplacedField('it is of type any. Send the string "required".'),
    "auto": ReplacedField('it is of type auto. Send the string "auto".'),
    "none": ReplacedField('it is of type none. Send the string "none".'),
}
