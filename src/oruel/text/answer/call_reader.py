"""Parses calls in an answer as it arrives, from the first call's name on."""

import re
import secrets
import string
from collections.abc import Callable, Mapping

from oruel.text.arguments.syntax import ArgumentReader
from oruel.text.formats.calls import ToolFormat
from oruel.text.placeholders import LOWER_ID, NAME, regex_for
from oruel.types import Tool, ToolCallDelta

LETTERS = string.ascii_letters + string.digits


class CallReader:
    """Reads the text after the format's `begin`. `is_complete`: every call that has begun is complete. `has_ended`: no
    other call can follow.
    """

    def __init__(self, tool_format: ToolFormat, tools: Mapping[str, Tool]) -> None:
        self._format = tool_format
        self._tools = tools
        self._index = 0
        self._state: Callable[[str], tuple[int, list[ToolCallDelta]] | None] = self._in_name
        self._arguments: ArgumentReader | None = None
        first, end, between = tool_format.arguments.first, tool_format.end, tool_format.between
        ahead = f"(?={'|'.join(map(regex_for, [first, end, between or end]))})" if first else ""
        self._named = re.compile(f"({NAME}){regex_for(tool_format.middle)}{ahead}")
        self._follows = re.compile("|".join(regex_for(text) for text in (end, between) if text is not None))
        self._end = re.compile(regex_for(tool_format.end))
        self._between = re.compile(regex_for(tool_format.between)) if tool_format.between is not None else None
        self.is_complete = False
        self.has_ended = False

    def take(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        """Returns how many characters were read and their deltas; None if more text is needed.

        `text` begins where the previous call stopped reading.
        """
        return self._state(text)

    def _in_name(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        found = self._named.match(text)
        if not found:
            return None
        tool = self._tools.get(found[1])
        self._arguments = self._format.arguments.reader(tool.parameters if tool else {}, self._follows)
        self._state, self.is_complete = self._in_arguments, False
        return found.end(), [ToolCallDelta(self._index, self._call_id(), found[1])]

    def _call_id(self) -> str:
        return new_lower_id() if LOWER_ID in self._format.begin else new_call_id(short=self._format.short_ids)

    def _in_arguments(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        assert self._arguments is not None
        found = self._arguments.take(text)
        if self._arguments.is_complete:
            self._state, self.is_complete = self._after_arguments, not self._format.end
        return found and (found[0], [ToolCallDelta(self._index, arguments=found[1])] if found[1] else [])

    def _after_arguments(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        if self._between and (found := self._between.match(text)):
            self._index += 1
            self._state, self.is_complete = self._in_name, False
            return found.end(), []
        if not (found := self._end.match(text)):
            return None
        rest = (self._format.between or "").removeprefix(self._format.end)
        if self._format.between is not None and self._format.between.startswith(self._format.end):
            # The end of the calls is also the beginning of the text between two.
            after = text[found.end() :]
            self.is_complete = not after.strip()
            if not after or rest.startswith(after[: len(rest)]):
                return None
        self.is_complete = self.has_ended = True
        return found.end(), []


def new_call_id(*, short: bool) -> str:
    if short:
        return "".join(secrets.choice(LETTERS) for _ in range(9))
    return f"call_{secrets.token_hex(12)}"


def new_lower_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
