"""A document is valid however its patterns are read: as ECMA 262 says, or as Python's `re` does."""

import json
import re
from typing import Any

import pytest

from oruel.constraints.completion.completions import DocumentCompletions
from tests.constraints import oracle

PATTERNS = (
    "^a$",
    "a$",
    "^.$",
    "^a.b$",
    r"^\d+$",
    r"^\w$",
    r"^\W$",
    r"^\S$",
    r"^[\d]$",
    r"^[^\d]$",
    r"^[\w-]$",
    r"^[\]$.]$",
)
CHARS = [
    "a",
    "b",
    "5",
    "_",
    "-",
    "]",
    "$",
    ".",
    "é",
    "\u0663",
    "\u00b2",
    "\u4e00",
    "\n",
    "\r",
    "\u2028",
    "\x1c",
    "\x85",
]
DRAFTS = [f"http://json-schema.org/draft-{number}/schema#" for number in ("04", "06", "07")]
DRAFTS += [f"https://json-schema.org/draft/{year}/schema" for year in ("2019-09", "2020-12")]
STRINGS = [*CHARS, "a\n", "5\n", "a\n\n", "a\rb", "a\nb", "a\u2028b", "\n\n", ""]


def matches(pattern: str, text: str) -> set[bool]:
    """Whether the text matches, by each reading."""
    return {bool(re.search(one, text)) for one in (pattern, oracle.python_pattern(pattern))}


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_string_that_only_some_readings_match_is_no_opposite(pattern: str, draft: str) -> None:
    completions = DocumentCompletions({"$schema": draft, "type": "string", "not": {"pattern": pattern}})
    for text in STRINGS:
        if matches(pattern, text) != {False}:
            assert not completions.is_valid(json.dumps(text)), repr(text)


@pytest.mark.parametrize("pattern", ["^a$", "^.$", r"^\d+$"])
@pytest.mark.parametrize("text", ["a", "a\n", "\r", "\u0663", "5"])
def test_a_choice_fits_by_each_reading(pattern: str, text: str) -> None:
    schema = {"oneOf": [{"pattern": pattern}, {"maxLength": 9}]}
    assert DocumentCompletions(schema).is_valid(json.dumps(text)) == (matches(pattern, text) == {False})


@pytest.mark.parametrize("key", ["a\n", "\u0663"])
def test_a_key_is_described_by_each_reading_of_its_pattern(key: str) -> None:
    schema: dict[str, Any] = {"patternProperties": {"^a$": {"type": "integer"}, r"^\d$": {"type": "integer"}}}
    completions = DocumentCompletions(schema)
    assert completions.is_valid(json.dumps({key: 1}))
    assert not completions.is_valid(json.dumps({key: "b"}))


def test_a_string_that_would_be_read_in_two_ways_is_completed_to_another_one() -> None:
    schema = {"type": "string", "oneOf": [{"pattern": "^.+$"}, {}]}
    rests = [rest for rest in DocumentCompletions(schema).after(rb'"a\n') if rest]
    assert rests
    assert all(matches("^.+$", json.loads(rb'"a\n' + rest)) == {False} for rest in rests)
