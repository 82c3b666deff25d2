"""Names that schemas give themselves by $id, and which of them a reference needs."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from oruel.constraints.keywords import NAMED, ONE, SEVERAL, Schema, subschemas
from oruel.errors import SchemaRefused

# What a URI reference is made of (RFC 3986), roughly: the rest is the library's to judge.
URI = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
NAMES = ("$id", "id")


def without_unused_ids(schema: Schema) -> dict[str, Any]:
    """The same without each $id that no reference needs: it constrains nothing, whatever it says.

    Raises SchemaRefused for a reference that can't be one.
    """
    references = [one["$ref"] for one in subschemas(schema) if isinstance(one.get("$ref"), str)]
    if broken := next((each for each in references if not URI.fullmatch(each)), None):
        raise SchemaRefused(f"its $ref {json.dumps(broken)} refers to nothing in it: no $id can be such a text")
    if any(not each.startswith("#") for each in references):
        return dict(map_schema(schema, without_invalid_id))
    return without_id({key: map_inner(key, value, without_free_id) for key, value in schema.items()})


def without_invalid_id(schema: Schema) -> Schema:
    names = [name for name in NAMES if isinstance(schema.get(name), str) and not URI.fullmatch(schema[name])]
    return {key: value for key, value in schema.items() if key not in names}


def without_id(schema: Schema) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in NAMES}


def without_free_id(schema: Schema) -> Schema:
    """Below the top, an $id says what the references beside and below it are relative to."""
    has_references = any(isinstance(one.get("$ref"), str) for one in subschemas(schema))
    return without_invalid_id(schema) if has_references else without_id(schema)


def map_schema(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """With `change` made to the schema and to all that lie in it."""
    if isinstance(schema, list):
        return [map_schema(one, change) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: map_inner(key, value, change) for key, value in change(schema).items()}


def map_inner(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    """The value of one keyword, with the schemas in it changed."""
    if key in NAMED and isinstance(value, Mapping):
        return {name: map_schema(one, change) for name, one in value.items()}
    return map_schema(value, change) if key in ONE | SEVERAL else value
