"""Grammar rules for calls of declared tools."""

from collections.abc import Mapping, Sequence
from typing import Any

from oruel.constraints.spec import WrittenArguments
from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS
from oruel.text.formats.calls import ToolFormat
from oruel.text.lark import Lark, quote
from oruel.text.placeholders import NAME_AGAIN
from oruel.types import Tool


class CallGrammar:
    """The rule `calls`: everything after the beginning of a call, including further calls. All rule names begin with
    `prefix`. `arguments`: of those in JSON, the texts before them, as in ArgumentsSpec, and they themselves.

    Raises UnsupportedParameter for a schema that the format can't enforce.
    """

    def __init__(
        self, lark: Lark, tool_format: ToolFormat, tools: Sequence[Tool], *, several: bool, prefix: str = ""
    ) -> None:
        self._lark = lark
        self._format = tool_format
        self._prefix = prefix
        self.arguments: list[tuple[str, str, WrittenArguments]] = []
        between = tool_format.between if several else None
        more = f"({lark.literal(between)} {prefix}call)*" if between is not None else ""
        names = " | ".join(f"{prefix}tool_{number}" for number in range(len(tools)))
        lines = [f"{prefix}calls: {prefix}call {more} {lark.literal(tool_format.end)}\n{prefix}call: {names}\n"]
        for number, tool in enumerate(tools):
            name, middle = quote(tool.name), lark.literal(tool_format.middle.replace(NAME_AGAIN, tool.name))
            lines.append(f"{prefix}tool_{number}: {name} {middle} {self._arguments(number, tool, lines)}\n")
        self.rules = "".join(lines)

    def _arguments(self, number: int, tool: Tool, lines: list[str]) -> str:
        grammar = self._format.arguments.grammar(
            self._lark,
            call_schema(tool.parameters),
            prefix=f"{self._prefix}p{number}_",
            where=f"{tool.name}: parameters",
        )
        lines.append(grammar.rules)
        if grammar.written:
            self.arguments.append((self._begin, self._name(tool.name), grammar.written))
        return grammar.expression

    @property
    def _begin(self) -> str:
        """A pattern of the text before a function's name."""
        texts = self._format.begin, self._format.between
        return "|".join(self._lark.pattern(text) for text in texts if text is not None)

    def _name(self, name: str) -> str:
        """A pattern of the text from a function's name to its arguments."""
        return self._lark.pattern(name + self._format.middle.replace(NAME_AGAIN, name))


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
