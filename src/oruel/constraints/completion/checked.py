"""Which keywords of a schema only a check of the whole document can hold."""

from collections.abc import Iterator

from oruel.constraints.completion.lookaround import has_lookaround
from oruel.json_schema.keywords import Schema, subschemas

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
