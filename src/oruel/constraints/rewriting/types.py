"""`type` without what another of its types includes. The grammar library fails on both beside bounds and `enum`."""

from oruel.json_schema.keywords import Schema


def with_plain_types(schema: Schema) -> Schema:
    types = schema.get("type")
    if not isinstance(types, list) or "number" not in types or "integer" not in types:
        return schema
    return {**schema, "type": [one for one in types if one != "integer"]}
