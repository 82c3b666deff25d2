"""Checks JSON Schemas, bounds their cost, and writes the enforceable part as grammars."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from llguidance import LLMatcher

from oruel.constraints.completion.checked import checked_keywords
from oruel.constraints.counts import contradiction_of_counts
from oruel.constraints.endless import is_endless
from oruel.constraints.keywords import (
    mixes_keys,
    spells_control_characters,
    unenforced_keywords,
    unknown_words,
    with_whole_counts,
)
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.rewriting.widening import widened
from oruel.constraints.tokens import ByteVocabulary, TokenTable, panics_refused, plain_message
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, subschemas

# Separators as in json.dumps, and no other whitespace, so that most of a document is forced or known.
OPTIONS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
LENIENT = {"lenient": True, "coerce_one_of": True}
# Among free keys, llguidance takes "\u0061" for another key than "a", which would circumvent the constraint on "a".
# Without \u, control characters can only be written in keys that a schema names.
SIMPLE_ESCAPES = {"json_allowed_escapes": 'nrbtf\\"'}

REMEMBERED_SCHEMAS = 32
# Of each kind; they go into a response header.
MAX_NAMES = 100
BYTES = TokenTable(ByteVocabulary())

UNIMPLEMENTED = re.compile(r"Unimplemented keys: (\[.*\])")
# Other complaints of llguidance, with the keywords that they are about.
COMPLAINTS = {
    "oneOf": ["oneOf"],
    "look-around": ["pattern"],
    "regex": ["pattern"],
    "min/maxProperties": ["minProperties", "maxProperties"],
}


class LeftOut(NamedTuple):
    """What of a schema isn't enforced, sorted. `keywords` restrict values in some draft. `words` mean nothing in any,
    so that leaving them out follows the standard; but one of them may be misspelt.
    """

    keywords: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def unenforceable_keywords(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return left_out(schema).keywords


def left_out(schema: Mapping[str, Any]) -> LeftOut:
    """What a grammar can't enforce. Takes some time for an adversarial schema, the first time.

    Raises SchemaRefused for an invalid schema, one that is too costly, and one that no document fits.
    """
    return _remembered(json.dumps(schema), is_checked=False)


def left_out_if_checked(schema: Mapping[str, Any]) -> LeftOut:
    """What can't be enforced on documents that are checked as well. Otherwise the same as `left_out`."""
    return _remembered(json.dumps(schema), is_checked=True)


def _remembered(written: str, is_checked: bool) -> LeftOut:
    found = _left_out(written, is_checked)
    if isinstance(found, SchemaRefused):
        raise SchemaRefused(found.message)
    return found


@lru_cache(REMEMBERED_SCHEMAS)
def _left_out(written: str, is_checked: bool) -> LeftOut | SchemaRefused:
    try:
        return examine(json.loads(written), is_checked=is_checked)
    except SchemaRefused as error:
        return error


@panics_refused()
def examine(schema: Mapping[str, Any], *, is_checked: bool = False) -> LeftOut:
    """Returns and raises the same as `left_out` and `left_out_if_checked`, without a cache."""
    enforced = rewritten(schema)
    check_weight(widened(enforced) if is_checked else enforced)
    if is_endless(enforced):
        raise SchemaRefused("it refers to itself without an end: no finite document fits it")
    if not_both(enforced):
        raise SchemaRefused(
            "it contains control characters, and allows other keys besides the named ones, which can't both be "
            "enforced: set additionalProperties to false"
        )
    if contradiction := contradiction_of_counts(enforced):
        raise SchemaRefused(f"no document fits it: {contradiction}")
    matcher = BYTES.matcher(json_grammar(schema, is_checked=is_checked))
    present = {keyword for one in subschemas(enforced) for keyword in one}
    named = {keyword for complaint in matcher.get_grammar_warnings() for keyword in keywords(complaint, present)}
    left = named | unenforced_keywords(schema, enforced)
    if is_checked:
        left -= checked_keywords(enforced)
    return LeftOut(some_of(left), some_of(unknown_words(schema)))


def some_of(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:MAX_NAMES])


def not_both(schema: Mapping[str, Any]) -> bool:
    """Whether the schema needs \\u escapes in values but mustn't have them in keys."""
    return any(map(mixes_keys, subschemas(schema))) and any(map(spells_control_characters, subschemas(schema)))


def keywords(complaint: str, present: set[str]) -> list[str]:
    if listed := UNIMPLEMENTED.search(complaint):
        names: list[str] = json.loads(listed[1])
        return names
    about = next((keywords for part, keywords in COMPLAINTS.items() if part in complaint), [])
    return [keyword for keyword in about if keyword in present] or [plain_message(complaint)]


def json_grammar(schema: Mapping[str, Any], *, is_checked: bool = False) -> str:
    """A grammar, in llguidance's format, of the documents that fit the enforceable part of `schema`."""
    grammar: str = LLMatcher.grammar_from_json_schema(embed_schema(schema, is_checked=is_checked))
    return grammar


def embed_schema(schema: Mapping[str, Any], *, is_checked: bool = False) -> str:
    """The schema as llguidance enforces it, with options, as JSON; with all that it can read if the documents are
    checked as well. Texts about it are left out: they may have megabytes.
    """
    return embed_rewritten(rewritten(schema), is_checked=is_checked)


def embed_rewritten(enforced: Schema, *, is_checked: bool) -> str:
    """The same of a schema that has been rewritten."""
    return write_options(with_whole_counts(widened(enforced) if is_checked else enforced))


def write_options(schema: Schema) -> str:
    """The schema with llguidance's options, as JSON."""
    escapes = SIMPLE_ESCAPES if any(map(mixes_keys, subschemas(schema))) else {}
    return json.dumps({**schema, "x-guidance": OPTIONS | LENIENT | escapes})


def without_options(schema: Schema) -> Schema:
    """The schema that `write_options` wrote."""
    return {key: value for key, value in schema.items() if key != "x-guidance"}
