"""Negated classes exclude quotes and backslashes, also where JSON escapes them."""

import json
import re
from itertools import product

import pytest

from oruel.constraints.rewriting.classes import without_nul
from oruel.constraints.schema import BYTES, json_grammar

CHARACTERS = ["a", "b", '"', "\\", "/", "-", "]", "^", "[", "\n", "\t", "\x01", "\x1f", "é", "\u2028"]
TEXTS = ["", *CHARACTERS, *map("".join, product(CHARACTERS[:7], repeat=2))]
PATTERNS = [
    r"^[^\\]*$",
    r'^[^"]+$',
    r'^[^"\\]$',
    r"^[^/\\]+$",
    r"^[^-a]$",
    r"^[^a-]$",
    r"^[^^\]]+$",
    r"^[^ -~]$",
    r"^[^\na\\]$",
    r'^"[^"]"?$',
    r"[^\\]/",
    r"^\[[^a]$",
    r"^[\[^a]+$",
    r"^\\[^\\]$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_only_strings_that_fit_the_pattern_can_be_written(pattern: str) -> None:
    matcher = BYTES.matcher(json_grammar({"type": "string", "pattern": pattern}))
    for text in TEXTS:
        data = list(json.dumps(text, ensure_ascii=False).encode())
        written = matcher.deep_copy()
        fits = written.try_consume_tokens(data) == len(data) and written.is_accepting()
        # In Python, $ also stands before a last line break; elsewhere \Z is.
        assert fits == bool(re.search(pattern.replace("$", r"\Z"), text)), text


@pytest.mark.parametrize("pattern", PATTERNS)
def test_names_by_pattern_are_those_that_fit(pattern: str) -> None:
    schema = {"type": "object", "patternProperties": {pattern: {}}, "additionalProperties": False}
    matcher = BYTES.matcher(json_grammar(schema))
    for text in TEXTS:
        data = list(json.dumps({text: 1}, ensure_ascii=False).encode())
        written = matcher.deep_copy()
        fits = written.try_consume_tokens(data) == len(data)
        if re.search(r"[\x01\x1f]", text):
            # Among free names, those that JSON can only write with \u are never written.
            continue
        assert fits == bool(re.search(pattern.replace("$", r"\Z"), text)), text


def test_other_classes_and_escapes_stay_as_they_are() -> None:
    for pattern in (r"[a^]", r"\[^a]", r"[\]^]", "[^]", r"[^\x00a]", "a"):
        assert without_nul(pattern) == pattern
