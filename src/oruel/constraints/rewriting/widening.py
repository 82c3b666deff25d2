"""Leaves out what the grammar library can't read, and says what it can of it in other words. A check of the whole
document holds it.
"""

import re
from collections.abc import Mapping
from typing import Any

from oruel.constraints.completion.lookaround import has_lookaround, plain_patterns
from oruel.json_schema.keywords import Schema, map_schema

# The library refuses these if it takes them for contradicting others.
UNREAD = {"minProperties", "maxProperties"}


def widened(schema: Schema) -> dict[str, Any]:
    """A schema that fits more documents."""
    return dict(map_schema(schema, widen))


def widen(schema: Schema) -> Schema:
    return without_lookarounds(
        with_patterns_of_names({key: value for key, value in schema.items() if key not in UNREAD})
    )


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


def with_patterns_of_names(schema: Schema) -> Schema:
    """Without the keys that `propertyNames` excludes, unless they are named in the schema."""
    pattern, others = pattern_of_names(schema.get("propertyNames")), schema.get("additionalProperties", True)
    if pattern is None or "patternProperties" in schema or (others not in (True, {}) and "properties" in schema):
        return schema
    return {**schema, "patternProperties": {pattern: others}, "additionalProperties": False}


def pattern_of_names(names: Any) -> str | None:
    """A pattern that all names match which fit the schema; None if it says something else about them."""
    if not isinstance(names, Mapping):
        return None
    if isinstance(names.get("pattern"), str):
        return str(names["pattern"])
    values = names.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return f"^({'|'.join(re.escape(value) for value in values)})$"


def all_of(schema: Schema) -> list[Any]:
    found = schema.get("allOf")
    return found if isinstance(found, list) else []
