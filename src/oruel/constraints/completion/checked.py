"""Which keywords of a schema only a check of the whole document can hold."""

from collections.abc import Iterator
from typing import Any

from oruel.constraints.completion.lookaround import has_lookaround
from oruel.json_schema.keywords import Schema, map_schema, subschemas

# The grammar library leaves these out, or holds them only in part.
CHECKED = {"oneOf", "not", "if", "then", "else", "uniqueItems", "contains", "minContains", "maxContains"}
CHECKED |= {"dependentRequired", "dependentSchemas", "dependencies", "minProperties", "maxProperties", "propertyNames"}
CHECKED |= {"unevaluatedItems", "unevaluatedProperties"}


def checked_keywords(schema: Schema) -> set[str]:
    """The keywords in the schema that the grammar library leaves out and `DocumentCompletions` checks."""
    return {keyword for one in subschemas(schema) for keyword in checked_in(one)}


def checked_in(schema: Schema) -> Iterator[str]:
    yield from CHECKED & schema.keys()
    if has_lookaround(str(schema.get("pattern", ""))):
        yield "pattern"
    patterns = schema.get("patternProperties")
    if isinstance(patterns, dict) and any(map(has_lookaround, patterns)):
        yield "patternProperties"


def without_checked(schema: Schema) -> dict[str, Any]:
    """The part of the schema that the grammar library holds: of oneOf, that one of its options fits."""
    return dict(map_schema(schema, one_without_checked))


def one_without_checked(schema: Schema) -> Schema:
    checked = set(checked_in(schema))
    kept = {key: value for key, value in schema.items() if key not in checked}
    options, every = schema.get("oneOf"), kept.get("allOf", [])
    if not isinstance(options, list) or not isinstance(every, list):
        return kept
    return {**kept, "allOf": [*every, {"anyOf": options}]}
