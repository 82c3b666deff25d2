"""Where schemas stand in schemas."""

from collections.abc import Iterable, Iterator
from typing import Any

NAMED = {"properties", "patternProperties", "definitions", "$defs", "dependentSchemas"}
LISTED = {"anyOf", "oneOf", "allOf", "prefixItems"}
SINGLE = {"items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "propertyNames", "contains"}


def keywords_of(schema: object) -> Iterator[str]:
    """Of the schema and all that lie in it."""
    for one in subschemas(schema):
        yield from one


def subschemas(schema: object) -> Iterator[dict[str, Any]]:
    """The schema itself and all that lie in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, value in schema.items():
        for inner in inner_schemas(keyword, value):
            yield from subschemas(inner)


def inner_schemas(keyword: str, value: Any) -> list[Any]:
    if keyword in NAMED:
        return list(value.values())
    if isinstance(value, list):
        return value if keyword in LISTED or keyword == "items" else []
    return [value] if keyword in SINGLE else []


def keywords_on(path: Iterable[str | int]) -> Iterator[str]:
    """The keywords of a path in a schema, without the names of members and the numbers of alternatives."""
    steps = iter(path)
    for step in steps:
        yield str(step)
        if step in NAMED | LISTED:
            next(steps, None)


def members_of(schema: object) -> int:
    """How many members it names, in all objects."""
    return sum(len(one.get("properties", ())) for one in subschemas(schema))
