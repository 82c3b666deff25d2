"""JSON Schemas as far as they can be enforced: checked, bounded, and written as grammars."""

import json
import re
from collections.abc import Mapping
from typing import Any

from llguidance import LLMatcher, LLParserLimits

from oruel.errors import SchemaRefused

# Separators are those of json.dumps; no other whitespace, so that most of a document is forced or known.
OPTIONS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
LENIENT = {"lenient": True, "coerce_one_of": True}

MAX_GRAMMAR_SIZE = 200_000
LIMITS = LLParserLimits(max_grammar_size=MAX_GRAMMAR_SIZE)

UNIMPLEMENTED = re.compile(r"Unimplemented keys: (\[.*\])")
# Other complaints of llguidance, by the keyword that they are about.
COMPLAINTS = {"oneOf": "oneOf", "Unknown format": "format", "look-around": "pattern", "regex": "pattern"}


def left_out(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The keywords that can't be enforced, sorted. Takes up to a second for a hostile one.

    Raises SchemaRefused for what is no schema, or too much of one.
    """
    failed, complaints = LLMatcher.validate_grammar_with_warnings(json_grammar(schema), limits=LIMITS)
    if failed:
        raise SchemaRefused(plain(complaints[0]))
    return tuple(sorted({keyword for complaint in complaints for keyword in keywords(complaint)}))


def keywords(complaint: str) -> list[str]:
    if listed := UNIMPLEMENTED.search(complaint):
        names: list[str] = json.loads(listed[1])
        return names
    return [next((keyword for part, keyword in COMPLAINTS.items() if part in complaint), complaint)]


def plain(complaint: str) -> str:
    """On one line."""
    return " ".join(complaint.split())


def json_grammar(schema: Mapping[str, Any]) -> str:
    """A grammar of the documents that the enforceable part of `schema` describes."""
    grammar: str = LLMatcher.grammar_from_json_schema(embedded(schema))
    return grammar


def embedded(schema: Mapping[str, Any]) -> str:
    """The schema, with its options, as it stands in a grammar behind %json."""
    return json.dumps({**schema, "x-guidance": OPTIONS | LENIENT})
