"""Which keywords of a JSON Schema llguidance enforces, and what it needs rewritten."""

import json
import re
from collections.abc import Mapping
from typing import Any

from oruel.constraints.rewriting.formats import FORMATS
from oruel.json_schema.keywords import ABOLISHED, ANNOTATIONS, DEFINITIONS, RESTRICTING, Schema, subschemas

# llguidance complains itself if it can't enforce one of RESTRICTING.
KNOWN = frozenset(RESTRICTING | DEFINITIONS | ANNOTATIONS | ABOLISHED)
COUNTS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
STRINGS = {"pattern", "format", "patternProperties"}


def unenforced_keywords(schema: Schema, enforced: Schema) -> set[str]:
    """Keywords that llguidance ignores silently, and those that it enforces only in part. `enforced` is the rewritten
    schema.
    """
    found = {key for one in subschemas(schema) for key in ABOLISHED & one.keys()}
    if any(map(counts_free_keys, subschemas(enforced))):
        # The same key could be written twice, but counts once.
        found.add("minProperties")
    return found


def unknown_words(schema: Schema) -> set[str]:
    """Words that restrict no value in any draft, but don't only describe the schema, and formats of no draft, each as
    format=name. One of them may be misspelt.
    """
    formats = (one["format"] for one in subschemas(schema) if isinstance(one.get("format"), str))
    return {key for one in subschemas(schema) for key in one if key not in KNOWN} | {
        f"format={name}" for name in formats if name not in FORMATS
    }


def counts_free_keys(schema: Schema) -> bool:
    least = schema.get("minProperties", 0)
    return isinstance(least, (int, float)) and least > 1 and has_free_keys(schema)


def has_free_keys(schema: Schema) -> bool:
    """Whether objects may have keys that aren't in `properties`."""
    return schema.get("additionalProperties", True) is not False or bool(schema.get("patternProperties"))


def mixes_keys(schema: Schema) -> bool:
    """Whether free keys must differ from the named ones."""
    return bool(schema.get("patternProperties")) or (bool(schema.get("properties")) and has_free_keys(schema))


def spells_control_characters(schema: Schema) -> bool:
    """Whether `enum` or `const` contains a character that JSON can only write as \\u and its number."""
    spelled = json.dumps([schema.get("enum"), schema.get("const")])
    return bool(re.search(r"\\u00[017]", spelled)) or "\x7f" in spelled


def with_whole_counts(schema: Any) -> Any:
    """A copy in which counts such as 5.0 are integers."""
    if isinstance(schema, list):
        return [with_whole_counts(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: int(value)
        if key in COUNTS and isinstance(value, float) and value.is_integer()
        else with_whole_counts(value)
        for key, value in schema.items()
    }
