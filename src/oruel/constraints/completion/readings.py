r"""Patterns as ECMA 262 reads them, which JSON Schema names, and as Python does: they differ in what `.` leaves out,
whether $ matches before a newline at the end, and which characters \d, \w and \s are.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oruel.json_schema.keywords import Schema, map_schema, subschemas

# A value that matches more may fit less under these. Elsewhere, what ECMA 262 matches, Python does too.
DECIDING = {"not", "oneOf", "if", "contains", "patternProperties", "unevaluatedItems", "unevaluatedProperties"}

PARTS = re.compile(r"\\.|\[\^?\]?|\]|[$.]", re.DOTALL)
ECMA = {".": r"[^\n\r\u2028\u2029]"}
WORD = r"\p{L}\p{N}_"
SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# The metaschemas of older drafts take only patterns that ECMA 262 knows, which has no \z.
END = r"(?![\s\S])"
PYTHON = {"$": rf"(?=\n?{END})", r"\w": f"[{WORD}]", r"\W": f"[^{WORD}]", r"\s": f"[{SPACE}]", r"\S": f"[^{SPACE}]"}
# In a class as well. There, \W and \S can't be written out.
PYTHON_IN_CLASS = {r"\d": r"\p{Nd}", r"\D": r"\P{Nd}", r"\w": WORD, r"\s": SPACE}
READINGS = [(ECMA, {}), (PYTHON_IN_CLASS | PYTHON, PYTHON_IN_CLASS)]

Meanings = Mapping[str, str]


def other_readings(schema: Schema) -> Iterator[Schema]:
    """The schema with its patterns written out for each reading that may judge some document otherwise."""
    if not any(DECIDING & one.keys() for one in subschemas(schema)):
        return
    for meanings, in_class in READINGS:
        written = map_schema(schema, with_patterns(meanings, in_class))
        if written != schema:
            yield written


def with_patterns(meanings: Meanings, in_class: Meanings) -> Callable[[Schema], Schema]:
    def change(schema: Schema) -> Schema:
        found: dict[str, Any] = dict(schema)
        if isinstance(pattern := found.get("pattern"), str):
            found["pattern"] = spelled(pattern, meanings, in_class)
        if isinstance(patterns := found.get("patternProperties"), dict):
            found["patternProperties"] = {spelled(key, meanings, in_class): one for key, one in patterns.items()}
        return found

    return change


def spelled(pattern: str, meanings: Meanings, in_class: Meanings) -> str:
    """The pattern with other texts for some of its parts, outside and inside of classes."""
    is_class = False

    def text(found: re.Match[str]) -> str:
        nonlocal is_class
        part = found[0]
        if part.startswith("[") or part == "]":
            is_class = part != "]"
            return part
        return (in_class if is_class else meanings).get(part, part)

    return PARTS.sub(text, pattern)
