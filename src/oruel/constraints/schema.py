"""JSON Schemas as far as they can be enforced: checked, bounded, and written as grammars."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from llguidance import LLMatcher

from oruel.constraints.endless import is_endless
from oruel.constraints.keywords import (
    mixes_keys,
    spells_control_characters,
    unenforced_keywords,
    with_whole_counts,
)
from oruel.constraints.tokens import ByteVocabulary, TokenTable, panics_refused, plain
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import subschemas
from oruel.json_schema.references import plain_references

# Separators are those of json.dumps; no other whitespace, so that most of a document is forced or known.
OPTIONS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
LENIENT = {"lenient": True, "coerce_one_of": True}
# Among free keys llguidance takes "\u0061" for another key than "a", and so would let it get round what "a" is held to.
# Without \u no control character can be written, save in the keys that a schema names.
SIMPLE_ESCAPES = {"json_allowed_escapes": 'nrbtf\\"'}

REMEMBERED_SCHEMAS = 32
# Their names go into a header of the response.
MOST_LEFT_OUT = 100
BYTES = TokenTable(ByteVocabulary())

UNIMPLEMENTED = re.compile(r"Unimplemented keys: (\[.*\])")
# Other complaints of llguidance, by the keyword that they are about.
COMPLAINTS = {
    "oneOf": ["oneOf"],
    "Unknown format": ["format"],
    "look-around": ["pattern"],
    "regex": ["pattern"],
    "min/maxProperties": ["minProperties", "maxProperties"],
}


def unenforceable_keywords(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The keywords that can't be enforced, sorted. Takes some time for an adversarial schema, the first time.

    Raises SchemaRefused for what is no schema, too much of one, or one that no document fits.
    """
    found = _left_out(json.dumps(schema))
    if isinstance(found, SchemaRefused):
        raise SchemaRefused(found.message)
    return found


@lru_cache(REMEMBERED_SCHEMAS)
def _left_out(written: str) -> tuple[str, ...] | SchemaRefused:
    try:
        return examine(json.loads(written))
    except SchemaRefused as error:
        return error


@panics_refused()
def examine(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """What `left_out` returns and raises."""
    schema = plain_references(schema)
    check_weight(schema)
    if is_endless(schema):
        raise SchemaRefused("it refers to itself without an end: no finite document fits it")
    if not_both(schema):
        raise SchemaRefused(
            "it spells out control characters, and has keys that are free beside keys that are named, which can't both "
            "be had: say additionalProperties: false"
        )
    matcher = BYTES.matcher(json_grammar(schema))
    present = {keyword for one in subschemas(schema) for keyword in one}
    named = {keyword for complaint in matcher.get_grammar_warnings() for keyword in keywords(complaint, present)}
    found = named | unenforced_keywords(schema)
    if len(found) > MOST_LEFT_OUT:
        raise SchemaRefused(f"{len(found):,} of its keywords are none, or can't be enforced: leave them out")
    return tuple(sorted(found))


def not_both(schema: Mapping[str, Any]) -> bool:
    """Whether values need the escapes that keys mustn't have."""
    return any(map(mixes_keys, subschemas(schema))) and any(map(spells_control_characters, subschemas(schema)))


def keywords(complaint: str, present: set[str]) -> list[str]:
    if listed := UNIMPLEMENTED.search(complaint):
        names: list[str] = json.loads(listed[1])
        return names
    about = next((keywords for part, keywords in COMPLAINTS.items() if part in complaint), [])
    return [keyword for keyword in about if keyword in present] or [plain(complaint)]


def json_grammar(schema: Mapping[str, Any]) -> str:
    """A grammar of the documents that the enforceable part of `schema` describes."""
    grammar: str = LLMatcher.grammar_from_json_schema(embed_schema(schema))
    return grammar


def embed_schema(schema: Mapping[str, Any]) -> str:
    """The schema, with its options, as it stands in a grammar behind %json."""
    escapes = SIMPLE_ESCAPES if any(map(mixes_keys, subschemas(schema))) else {}
    plainer = with_whole_counts(plain_references(schema))
    return json.dumps({**plainer, "x-guidance": OPTIONS | LENIENT | escapes})
