"""Calls of declared tools, as the rules of a grammar."""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from oruel.constraints.schema import embedded
from oruel.text.element_rules import ElementRules
from oruel.text.lark import Lark, quoted
from oruel.text.spelling_rules import LENGTHS, SpellingRules, check_tagged
from oruel.text.tools.format import NAME_AGAIN, TYPE, Tagged, ToolFormat
from oruel.types import Tool

# A boolean is an integer in Python.
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "null": NoneType,
    "number": (int, float),
    "string": str,
    "object": dict,
    "array": list,
}
NAMES = {"integer": "number"}


class CallRules:
    """The rule `calls`: what follows the beginning of a call, up to its end and those of the calls after it. All names
    begin with `prefix`. Raises UnsupportedParameter for a schema that can't be held in the format.
    """

    def __init__(
        self, lark: Lark, tool_format: ToolFormat, tools: Sequence[Tool], *, several: bool, prefix: str = ""
    ) -> None:
        self._lark = lark
        self._format = tool_format
        self._prefix = prefix
        self._tool_names = [tool.name for tool in tools]
        between = tool_format.between if several else None
        more = f"({lark.literal(between)} {prefix}call)*" if between is not None else ""
        names = " | ".join(f"{prefix}tool_{number}" for number in range(len(tools)))
        lines = [f"{prefix}calls: {prefix}call {more} {lark.literal(tool_format.end)}\n{prefix}call: {names}\n"]
        for number, tool in enumerate(tools):
            name, middle = quoted(tool.name), lark.literal(tool_format.middle.replace(NAME_AGAIN, tool.name))
            lines.append(f"{prefix}tool_{number}: {name} {middle} {self._arguments(number, tool, lines)}\n")
        self.rules = "".join(lines)

    def _arguments(self, number: int, tool: Tool, lines: list[str]) -> str:
        schema = {**tool.parameters, "type": "object"}
        prefix, where = f"{self._prefix}p{number}_", f"{tool.name}: parameters"
        spelt: SpellingRules | ElementRules | None = None
        if self._format.spelling:
            spelt = SpellingRules(self._lark, self._format.spelling, prefix, where)
        elif self._format.elements:
            spelt = ElementRules(self._lark, self._format.elements, prefix, where)
        if spelt:
            expression = spelt.arguments(schema)
            lines.append(spelt.rules)
            return expression
        if self._format.tagged is None:
            return f"%json {embedded(schema)}"
        return self._tagged(self._format.tagged, number, schema, lines)

    def _tagged(self, tags: Tagged, number: int, schema: dict[str, Any], lines: list[str]) -> str:
        """Properties in the order of the schema."""
        where = f"{self._tool_names[number]}: parameters"
        if self._format.exact:
            check_tagged(schema, where)
        required = schema.get("required", ())
        properties = schema.get("properties") or {}
        parts: list[str] = []
        for place, (key, described) in enumerate(properties.items()):
            rule = f"{self._prefix}value_{number}_{place}"
            head = f"{self._lark.literal(tags.before_key)} {quoted(key)}"
            ways = self._ways(rule, tags, with_definitions(described, schema), lines)
            part = f"{head} {ways[0]}" if len(ways) == 1 else f"{head} ({' | '.join(ways)})"
            parts.append(part if key in required else f"({part})?")
        return " ".join(parts)

    def _ways(self, rule: str, tags: Tagged, schema: dict[str, Any], lines: list[str]) -> list[str]:
        """What may follow a key: one way, or one for each type that the value may have, where the tag names it."""
        typed = types(schema) if TYPE in tags.after_key_json else [None]
        ways: list[str] = []
        for each in typed:
            narrowed = schema if each is None else {**schema, "type": each}
            is_text = is_string(narrowed)
            after_key = (
                tags.after_key if is_text else tags.after_key_json.replace(TYPE, NAMES.get(each or "", each or ""))
            )
            name = rule if each is None else f"{rule}_{each}"
            lines.append(self._value(name, tags, narrowed, is_text))
            ways.append(f"{self._lark.literal(after_key)} {name}")
        return ways

    def _value(self, rule: str, tags: Tagged, schema: dict[str, Any], is_text: bool) -> str:
        end = tags.after_value
        if is_text and "enum" in schema:
            choices = " | ".join(quoted(choice) for choice in schema["enum"] if isinstance(choice, str))
            return f"{rule}: ({choices}) {self._lark.literal(end)}\n"
        if is_text and not (self._format.exact and LENGTHS.intersection(schema)):
            return self._lark.up_to(rule, end)
        if is_text:
            terminal = f"{rule}_T".upper()
            least, most = schema.get("minLength", 0), schema.get("maxLength", "")
            return f"{terminal}: /(.|\\n){{{least},{most}}}/\n{self._lark.up_to(rule, end, terminal)}"
        return f"{rule}: %json {embedded(schema)} {self._lark.literal(end)}\n"


def types(schema: Mapping[str, Any]) -> list[str]:
    """Those that a value of this schema may have; all where it doesn't say."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if named:
        return list(named)
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return sorted({json_type(choice) for choice in choices}) if choices else list(TYPES)


def json_type(value: Any) -> str:
    return next(name for name, kind in TYPES.items() if isinstance(value, kind))


def is_string(schema: Any) -> bool:
    """Whether a value of this schema is written as it stands, and not as JSON."""
    if not isinstance(schema, dict):
        return False
    choices = schema.get("enum") or [None]
    return schema.get("type") == "string" or ("type" not in schema and all(isinstance(c, str) for c in choices))


def with_definitions(described: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A property's schema by itself, with what it may refer to."""
    definitions: dict[str, Any] = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    return {**definitions, **described} if isinstance(described, dict) else definitions
