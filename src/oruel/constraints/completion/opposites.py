"""Schemas whose values don't fit another schema, for keywords that restrict one value by a bound or by its type."""

from collections.abc import Iterator, Mapping
from typing import Any

from oruel.constraints.completion.node import TYPES
from oruel.json_schema.keywords import Schema

LENGTHS = {"minLength": "maxLength", "minItems": "maxItems", "minProperties": "maxProperties"}
RANGES = {"minimum": "exclusiveMaximum", "maximum": "exclusiveMinimum"}
RANGES |= {"exclusiveMinimum": "maximum", "exclusiveMaximum": "minimum"}
KINDS = {"Length": ["string"], "Items": ["array"], "Properties": ["object"]}


class Opposites:
    """The same schemas each time for the same schema, which has to live as long."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, list[Schema]]] = {}

    def of(self, schema: Any) -> list[Schema]:
        if not isinstance(schema, Mapping):
            return []
        if id(schema) not in self._known:
            self._known[id(schema)] = schema, list(opposites(schema))
        return self._known[id(schema)][1]


def opposites(schema: Schema) -> Iterator[Schema]:
    """A value that fits any of these doesn't fit `schema`."""
    for least, most in LENGTHS.items():
        kind = next(kinds for part, kinds in KINDS.items() if part in least)
        if is_count(schema.get(most)):
            yield {"type": kind, least: schema[most] + 1}
        if is_count(schema.get(least)) and schema[least] > 0:
            yield {"type": kind, most: schema[least] - 1}
    for keyword, opposite in RANGES.items():
        if keyword in schema and not isinstance(schema[keyword], bool):
            yield {"type": ["integer", "number"], opposite: schema[keyword]}
    if isinstance(schema.get("pattern"), str):
        yield {"type": "string", "not": {"pattern": schema["pattern"]}}
    if "type" in schema:
        given = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        found = [kind for kind in TYPES if kind not in given and not (kind == "integer" and "number" in given)]
        yield {"type": found}


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
