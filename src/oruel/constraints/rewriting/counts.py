"""What `contains`, `uniqueItems` and `propertyNames` say about counts and names alone, in the keywords for these."""

from collections.abc import Mapping
from typing import Any

from oruel.constraints.rewriting.formats import FORMATS
from oruel.constraints.rewriting.negations import canonical, listed_values, names_in
from oruel.json_schema.keywords import Schema

CONTAINING = {"contains", "minContains", "maxContains"}


def with_plain_counts(schema: Schema) -> Schema:
    return with_listed_names(with_bounded_items(with_counted_items(schema)))


def with_counted_items(schema: Schema) -> Schema:
    """`contains` with a schema that each item fits, or none."""
    if "contains" not in schema:
        return without_contains(schema)
    least, most = schema.get("minContains", 1), schema.get("maxContains")
    if least == 0 and most is None:
        return without_contains(schema)
    if (schema["contains"] is not True and schema["contains"] != {}) or not are_counts(schema):
        return schema
    kept = at_least(without_contains(schema), "minItems", least)
    return kept if most is None else at_most(kept, "maxItems", most)


def without_contains(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in CONTAINING}


def with_bounded_items(schema: Schema) -> Schema:
    """Unique items, of which there are only so many."""
    if schema.get("uniqueItems") is False:
        return {key: value for key, value in schema.items() if key != "uniqueItems"}
    items = schema.get("items")
    if schema.get("uniqueItems") is not True or "prefixItems" in schema or not isinstance(items, Mapping):
        return schema
    values = listed_values(items)
    return schema if values is None else at_most(schema, "maxItems", len(set(map(canonical, values))))


def with_listed_names(schema: Schema) -> Schema:
    """Names from a list become properties; names of a pattern, where no others are described, a pattern for members."""
    named = schema.get("propertyNames")
    if named is None or schema.get("patternProperties"):
        return schema
    kept = {key: value for key, value in schema.items() if key != "propertyNames"}
    if isinstance(named, bool) or named == {}:
        return kept if named is not False else at_most(kept, "maxProperties", 0)
    if not isinstance(named, Mapping) or names_in(named.get("type", "string")) != ["string"]:
        return schema
    properties = kept["properties"] if isinstance(kept.get("properties"), Mapping) else {}
    others = kept.get("additionalProperties", True)
    listed = listed_values(named) if named.keys() <= {"enum", "const", "type"} else None
    if listed is not None:
        names = [name for name in listed if isinstance(name, str)]
        allowed = {name: properties.get(name, others) for name in [*properties, *names] if name in names}
        forbidden = {name: False for name in properties if name not in names}
        return {**kept, "properties": allowed | forbidden, "additionalProperties": False}
    pattern = pattern_of(named)
    if pattern is None or properties:
        return schema
    return {**kept, "patternProperties": {pattern: others}, "additionalProperties": False}


def pattern_of(schema: Schema) -> str | None:
    """The pattern of a schema that says nothing else about strings."""
    match sorted(schema.keys() - {"type"}):
        case ["pattern"] if isinstance(schema["pattern"], str):
            return schema["pattern"]
        case ["format"] if isinstance(schema["format"], str):
            return FORMATS.get(schema["format"])
    return None


def are_counts(schema: Schema) -> bool:
    counts = [schema.get(keyword, 0) for keyword in ("minContains", "maxContains", "minItems", "maxItems")]
    return all(isinstance(count, int) and not isinstance(count, bool) for count in counts)


def at_least(schema: Schema, keyword: str, count: Any) -> dict[str, Any]:
    return {**schema, keyword: max(count, schema.get(keyword, 0))}


def at_most(schema: Schema, keyword: str, count: Any) -> dict[str, Any]:
    present = schema.get(keyword)
    return {**schema, keyword: min(count, present) if isinstance(present, (int, float)) else count}
