"""Arguments written as a JSON object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oruel.constraints.spec import written_arguments
from oruel.text.arguments.syntax import ArgumentGrammar, ArgumentSyntax
from oruel.text.lark import Lark


@dataclass(frozen=True, slots=True)
class JsonSyntax(ArgumentSyntax):
    def grammar(self, lark: Lark, schema: Mapping[str, Any], *, prefix: str, where: str) -> ArgumentGrammar:
        written = written_arguments(schema)
        return ArgumentGrammar(written.expression, written=written)

    def reader(self, parameters: Mapping[str, Any], follows: re.Pattern[str]) -> "JsonReader":
        return JsonReader()


JSON = JsonSyntax()


class JsonReader:
    """Implements ArgumentReader: passes a JSON object through and finds its end."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._is_escaped = False
        self.is_complete = False

    def take(self, text: str) -> tuple[int, str] | None:
        length = self._length(text)
        return (length, text[:length]) if length else None

    def _length(self, text: str) -> int:
        """How many characters belong to the object."""
        for place, character in enumerate(text):
            self._advance(character)
            if self.is_complete:
                return place + 1
        return len(text)

    def _advance(self, character: str) -> None:
        if self._in_string:
            if self._is_escaped:
                self._is_escaped = False
            elif character == "\\":
                self._is_escaped = True
            elif character == '"':
                self._in_string = False
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self.is_complete = self._depth <= 0
