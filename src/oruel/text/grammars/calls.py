"""Grammar rules for calls of declared tools."""

from collections.abc import Mapping, Sequence
from typing import Any

from oruel.constraints.spec import schema_expression
from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS
from oruel.text.arguments.element_rules import ElementRules
from oruel.text.arguments.quoted_rules import QuotedRules, check_tagged
from oruel.text.arguments.tagged import TextLimits, ToolArguments, ValueSyntax
from oruel.text.formats.calls import NAME_AGAIN, TagSyntax, ToolFormat
from oruel.text.lark import ANYTHING, Lark, escape, quote
from oruel.types import Tool


class CallGrammar:
    """The rule `calls`: everything after the beginning of a call, including further calls. All rule names begin with
    `prefix`. Raises UnsupportedParameter for a schema that the format can't enforce.
    """

    def __init__(
        self, lark: Lark, tool_format: ToolFormat, tools: Sequence[Tool], *, several: bool, prefix: str = ""
    ) -> None:
        self._lark = lark
        self._format = tool_format
        self._prefix = prefix
        between = tool_format.between if several else None
        more = f"({lark.literal(between)} {prefix}call)*" if between is not None else ""
        names = " | ".join(f"{prefix}tool_{number}" for number in range(len(tools)))
        lines = [f"{prefix}calls: {prefix}call {more} {lark.literal(tool_format.end)}\n{prefix}call: {names}\n"]
        for number, tool in enumerate(tools):
            name, middle = quote(tool.name), lark.literal(tool_format.middle.replace(NAME_AGAIN, tool.name))
            lines.append(f"{prefix}tool_{number}: {name} {middle} {self._arguments(number, tool, lines)}\n")
        self.rules = "".join(lines)

    def _arguments(self, number: int, tool: Tool, lines: list[str]) -> str:
        schema = call_schema(tool.parameters)
        prefix, where = f"{self._prefix}p{number}_", f"{tool.name}: parameters"
        rules: QuotedRules | ElementRules | None = None
        if self._format.spelling:
            rules = QuotedRules(self._lark, self._format.spelling, prefix, where)
        elif self._format.elements:
            rules = ElementRules(self._lark, self._format.elements, prefix, where)
        if rules:
            expression = rules.arguments(schema)
            lines.append(rules.rules)
            return expression
        if self._format.tagged is None:
            return schema_expression(schema)
        if self._format.exact:
            check_tagged(schema, where)
        return self._tagged(self._format.tagged, number, ToolArguments(schema), lines)

    def _tagged(self, tags: TagSyntax, number: int, arguments: ToolArguments, lines: list[str]) -> str:
        parts: list[str] = []
        for place, argument in enumerate(arguments.each):
            options: list[str] = []
            for option, way in enumerate(argument.ways(tags)):
                name = f"{self._prefix}value_{number}_{place}_{option}"
                lines.append(self._value(name, way, tags.after_value))
                options.append(f"{self._lark.literal(way.after_key)} {name}")
            part = f"{self._lark.literal(tags.before_key)} {quote(argument.key)} ({' | '.join(options)})"
            parts.append(part if argument.is_required else f"({part})?")
        return " ".join(parts)

    def _value(self, name: str, way: ValueSyntax, end: str) -> str:
        if way.held:
            return self._text(name, way.held, end)
        return f"{name}: {schema_expression(way.schema)} {self._lark.literal(end)}\n"

    def _text(self, name: str, limits: TextLimits, end: str) -> str:
        if limits.choices is not None:
            return f"{name}: ({' | '.join(map(quote, limits.choices))}) {self._lark.literal(end)}\n"
        terminal = f"{name}_text".upper()
        length = f"/(.|\\n){{{limits.least},{'' if limits.most is None else limits.most}}}/"
        # Without the exclusion, a text with a minimum length could continue after its end marker.
        return f"{terminal}: {length} & ~/{ANYTHING}{escape(end)}{ANYTHING}/\n" + self._lark.up_to(name, end, terminal)


def call_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that constrains the arguments of a function.

    A function without parameters takes no arguments, as OpenAI defines it. The same applies to empty `properties`
    without other keywords, which is how clients declare a function without arguments: as a JSON Schema it allows any
    keys, and a model could spend its budget on inventing some. To allow any keys, omit `properties` or set
    additionalProperties.
    """
    schema = {**parameters, "type": "object"}
    others = schema.keys() - ANNOTATIONS - DEFINITIONS - {"type", "properties", "required"}
    is_empty = not parameters or ("properties" in schema and not others)
    if is_empty and not schema.get("properties") and not schema.get("required"):
        schema["additionalProperties"] = False
    return schema
