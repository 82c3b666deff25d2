"""Parses arguments that are written as elements, as they arrive, and returns them as JSON. The schema gives
the types.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oruel.json_schema.references import plain_references
from oruel.text.arguments.elements import ElementSyntax, single_type_schema

OPENING = re.compile(r"<([^<>/]+)>")
CLOSING = re.compile(r"</[^<>]+>")


@dataclass
class _Open:
    """An element that has begun. `count`: its entries so far."""

    schema: Mapping[str, Any]
    count: int = 0


class ElementReader:
    """Is fed the text from the beginning of the arguments. `is_complete` once a tag follows that closes no open
    element.
    """

    def __init__(self, elements: ElementSyntax, schema: Mapping[str, Any]) -> None:
        self._mark = elements.mark
        self._root = plain_references(schema)
        self._stack = [_Open({**self._root, "type": "object"})]
        self._is_text = False
        self._has_begun = False
        self.is_complete = False

    def take(self, text: str) -> tuple[int, str] | None:
        """The number of characters consumed, and their JSON; None if more text is needed."""
        if not self._has_begun:
            self._has_begun = True
            return 0, "{"
        if self._stack[-1].schema["type"] in ("object", "array"):
            return self._tag(text)
        return self._leaf(text)

    def _tag(self, text: str) -> tuple[int, str] | None:
        behind = text.removeprefix(self._mark)
        if closing := CLOSING.match(behind):
            return self._close(len(text) - len(behind) + closing.end())
        opening = OPENING.match(behind)
        if not text.startswith(self._mark) or not opening:
            return None
        top = self._stack[-1]
        is_object = top.schema["type"] == "object"
        described = (top.schema.get("properties") or {}).get(opening[1]) if is_object else top.schema.get("items")
        inner = single_type_schema(described, self._root) or {"type": "string"}
        comma, key = ", " if top.count else "", f"{json.dumps(opening[1])}: " if is_object else ""
        top.count += 1
        self._stack.append(_Open(inner))
        starts = {"object": "{", "array": "[", "string": '"'}
        return len(self._mark) + opening.end(), comma + key + starts.get(inner["type"], "")

    def _close(self, length: int) -> tuple[int, str]:
        ends = {"object": "}", "array": "]"}
        ended = self._stack.pop()
        if not self._stack:
            self.is_complete = True
            return 0, "}"
        return length, ends.get(ended.schema["type"], '"' if ended.schema["type"] == "string" else "")

    def _leaf(self, text: str) -> tuple[int, str] | None:
        end = text.find(self._mark)
        if end == 0:
            behind = CLOSING.match(text, len(self._mark))
            return self._close(behind.end()) if behind else None
        if end < 0:
            lengths = range(len(self._mark) - 1, 0, -1)
            end = len(text) - next((n for n in lengths if text.endswith(self._mark[:n])), 0)
        is_text = self._stack[-1].schema["type"] == "string"
        return (end, json.dumps(text[:end], ensure_ascii=False)[1:-1] if is_text else text[:end]) if end else None
