"""Leaves out what the grammar library refuses to read. A check of the whole document holds it."""

from typing import Any

from oruel.constraints.completion.lookaround import has_lookaround, plain_patterns
from oruel.json_schema.keywords import Schema, map_schema

# The library refuses these if it takes them for contradicting others.
UNREAD = {"minProperties", "maxProperties"}


def widened(schema: Schema) -> dict[str, Any]:
    """A schema that fits more documents."""
    return dict(map_schema(schema, widen))


def widen(schema: Schema) -> Schema:
    return without_lookarounds({key: value for key, value in schema.items() if key not in UNREAD})


def without_lookarounds(schema: Schema) -> Schema:
    pattern, named = schema.get("pattern"), schema.get("patternProperties")
    if isinstance(pattern, str) and has_lookaround(pattern):
        first, *others = plain_patterns(pattern).wanted
        schema = {**schema, "pattern": first}
        if others:
            schema = {**schema, "allOf": [*all_of(schema), *({"pattern": other} for other in others)]}
    if isinstance(named, dict) and any(map(has_lookaround, named)):
        # A key that matches only such a pattern would be refused otherwise.
        kept = {name: inner for name, inner in named.items() if not has_lookaround(name)}
        schema = {**schema, "patternProperties": kept, "additionalProperties": True}
    return schema


def all_of(schema: Schema) -> list[Any]:
    found = schema.get("allOf")
    return found if isinstance(found, list) else []
