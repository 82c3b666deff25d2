"""Parses calls in an answer as it arrives, from the first call's name on."""

import json
import re
import secrets
import string
from collections.abc import Callable, Mapping

from oruel.text.arguments.element_reader import ElementReader
from oruel.text.arguments.quoted_reader import QuotedReader
from oruel.text.arguments.tagged import ToolArguments
from oruel.text.formats.calls import ToolFormat
from oruel.text.placeholders import LOWER_ID, NAME, pattern
from oruel.types import Tool, ToolCallDelta

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
LETTERS = string.ascii_letters + string.digits


class CallReader:
    """Is fed the text after the format's beginning. `is_whole`: every call that has begun is complete."""

    def __init__(self, tool_format: ToolFormat, tools: Mapping[str, Tool]) -> None:
        self._format = tool_format
        self._tools = tools
        self._index = 0
        self._state: Callable[[str], tuple[int, list[ToolCallDelta]] | None] = self._name
        self._json = _JsonScanner()
        self._spelt: QuotedReader | ElementReader | None = None
        self._keys = 0
        self._heads: Mapping[str, tuple[str, bool]] = {}
        tagged = tool_format.tagged
        follows = [tagged.before_key, tool_format.end, tool_format.between or tool_format.end] if tagged else []
        ahead = f"(?={'|'.join(map(pattern, follows))})" if follows else ""
        self._named = re.compile(f"({NAME}){pattern(tool_format.middle)}{ahead}")
        self._end = re.compile(pattern(tool_format.end))
        self._between = re.compile(pattern(tool_format.between)) if tool_format.between is not None else None
        self.is_whole = False
        self.has_ended = False

    def take(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        """The number of characters of `text` consumed, and what they say; None if more text is needed."""
        return self._state(text)

    def _name(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        found = self._named.match(text)
        if not found:
            return None
        self.is_whole = False
        self._json, self._keys = _JsonScanner(), 0
        if self._format.spelling:
            self._spelt, self._state = QuotedReader(self._format.spelling), self._spelling
        elif self._format.elements:
            tool = self._tools.get(found[1])
            self._spelt = ElementReader(self._format.elements, tool.parameters if tool else {})
            self._state = self._spelling
        else:
            self._state = self._arguments if self._format.tagged is None else self._tag
        self._heads = self._heads_of(found[1])
        return found.end(), [ToolCallDelta(self._index, self._call_id(), found[1])]

    def _call_id(self) -> str:
        return lower_id() if LOWER_ID in self._format.begin else call_id(short=self._format.short_ids)

    def _arguments(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        length = self._json.feed(text)
        if self._json.is_complete:
            self._state, self.is_whole = self._after, not self._format.end
        return (length, [ToolCallDelta(self._index, arguments=text[:length])]) if length else None

    def _spelling(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        assert self._spelt is not None
        found = self._spelt.take(text)
        if self._spelt.is_complete:
            self._state = self._after
        return found and (found[0], [ToolCallDelta(self._index, arguments=found[1])] if found[1] else [])

    def _tag(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        tags = self._format.tagged
        assert tags is not None
        if not text.startswith(tags.before_key):
            if self._end.match(text) or (self._between and self._between.match(text)):
                self._state = self._after
                return 0, [ToolCallDelta(self._index, arguments="}" if self._keys else "{}")]
            return None
        head = next((head for head in self._heads if text.startswith(head)), "")
        key, is_text = self._heads.get(head, ("", False))
        end = value_end(text, len(head), tags.after_value, is_text) if head else -1
        if end < 0:
            return None
        value = text[len(head) : end]
        written = json.dumps(value, ensure_ascii=False) if is_text else value
        opening = ", " if self._keys else "{"
        self._keys += 1
        fragment = f"{opening}{json.dumps(key, ensure_ascii=False)}: {written}"
        return end + len(tags.after_value), [ToolCallDelta(self._index, arguments=fragment)]

    def _heads_of(self, name: str) -> Mapping[str, tuple[str, bool]]:
        """What may precede a value: the key, and whether the value is verbatim."""
        tool, tags = self._tools.get(name), self._format.tagged
        if tool is None or tags is None:
            return {}
        return {
            f"{tags.before_key}{argument.key}{way.after_key}": (argument.key, way.is_text)
            for argument in ToolArguments(tool.parameters).each
            for way in argument.ways(tags)
        }

    def _after(self, text: str) -> tuple[int, list[ToolCallDelta]] | None:
        if self._between and (found := self._between.match(text)):
            self._index += 1
            self._state, self.is_whole = self._name, False
            return found.end(), []
        if not (found := self._end.match(text)):
            return None
        rest = (self._format.between or "").removeprefix(self._format.end)
        if self._format.between is not None and self._format.between.startswith(self._format.end):
            # The end of the calls is also the beginning of the text between two.
            behind = text[found.end() :]
            self.is_whole = not behind.strip()
            if not behind or rest.startswith(behind[: len(rest)]):
                return None
        self.is_whole = self.has_ended = True
        return found.end(), []


class _JsonScanner:
    """Finds the end of a JSON object."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._is_escaped = False
        self.is_complete = False

    def feed(self, text: str) -> int:
        """How many characters belong to the object."""
        for place, character in enumerate(text):
            self._take(character)
            if self.is_complete:
                return place + 1
        return len(text)

    def _take(self, character: str) -> None:
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


def value_end(text: str, start: int, end: str, is_text: bool) -> int:
    """The index of the `end` after a value; -1 if it hasn't arrived. Inside a JSON string it doesn't count."""
    place = text.find(end, start)
    while place >= 0 and not is_text and '"' in STRING.sub("", text[start:place]):
        place = text.find(end, place + 1)
    return place


def call_id(*, short: bool) -> str:
    if short:
        return "".join(secrets.choice(LETTERS) for _ in range(9))
    return f"call_{secrets.token_hex(12)}"


def lower_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
