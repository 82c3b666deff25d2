"""The part of a schema that the grammar library can always read, for schemas that it refuses. A check of the whole
document holds the rest.
"""

from collections.abc import Mapping
from typing import Any

KEPT = ("type", "required")
SCALARS = (str, int, float, bool, type(None))


def skeleton(schema: Any) -> Any:
    """A schema that fits more documents: the types, named members and items that stand in it, without references."""
    if not isinstance(schema, Mapping):
        return schema
    found = {key: schema[key] for key in KEPT if key in schema}
    if isinstance(properties := schema.get("properties"), Mapping):
        found["properties"] = {name: skeleton(inner) for name, inner in properties.items()}
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        found["additionalProperties"] = False
    if isinstance(items := schema.get("items"), Mapping) and "prefixItems" not in schema:
        found["items"] = skeleton(items)
    values = schema.get("enum")
    if isinstance(values, list) and values and all(isinstance(value, SCALARS) for value in values):
        found["enum"] = values
    return found
