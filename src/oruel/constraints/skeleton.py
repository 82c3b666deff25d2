"""The part of a schema that the grammar library can always read, for schemas that it refuses. A check of the whole
document holds the rest.
"""

from collections.abc import Mapping
from typing import Any

from oruel.constraints.keywords import mixes_keys, spells_control_characters
from oruel.json_schema.keywords import Schema, map_schema, subschemas

KEPT = ("type", "required")
MEMBERS = {"properties", "required"}
SCALARS = (str, int, float, bool, type(None))


def skeleton(schema: Any) -> Any:
    """A schema that fits more documents: the types, named members and items that stand in it, without references. Where
    keys besides the named ones would keep control characters from being written, without the members.
    """
    found = outline(schema)
    is_free = any(map(spells_control_characters, subschemas(schema))) and any(map(mixes_keys, subschemas(found)))
    return map_schema(found, without_mixed_members) if is_free else found


def members_first(schema: Schema) -> Schema:
    """The same schema, in which the named members come in the order that they have in its skeleton."""

    def change(one: Schema) -> Schema:
        return {"properties": one["properties"], **one} if "properties" in one else one

    return dict(map_schema(schema, change))


def without_mixed_members(schema: Schema) -> Schema:
    """Without what gives keys an order, too: that of all keys is another one."""
    return {key: value for key, value in schema.items() if key not in MEMBERS} if mixes_keys(schema) else schema


def outline(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    found = {key: schema[key] for key in KEPT if key in schema}
    if isinstance(properties := schema.get("properties"), Mapping):
        found["properties"] = {name: outline(inner) for name, inner in properties.items()}
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        found["additionalProperties"] = False
    if isinstance(items := schema.get("items"), Mapping) and "prefixItems" not in schema:
        found["items"] = outline(items)
    values = schema.get("enum")
    if isinstance(values, list) and values and all(isinstance(value, SCALARS) for value in values):
        found["enum"] = values
    return found
