"""Older drafts in the words of 2020-12."""

import re
from typing import Any

from oruel.json_schema.keywords import DEFINITIONS, Schema

# The drafts up to 7. In these, what stands beside $ref restricts nothing.
UNTIL_7 = re.compile(r"https?://json-schema\.org/draft-0[34567]/")
# Those and the next, which have no prefixItems.
UNTIL_2019 = re.compile(r"https?://json-schema\.org/(draft-0\d|draft/2019-09)/")


def declared(schema: Schema) -> str:
    """The draft that the schema says it is of; empty if it doesn't."""
    return str(schema.get("$schema") or "")


def in_newest_draft(schema: Schema, draft: str) -> Schema:
    """One schema, without those inside, of `draft`. Other old forms are recognised by themselves."""
    if isinstance(schema.get("$ref"), str) and UNTIL_7.match(draft):
        return {key: value for key, value in schema.items() if key == "$ref" or key in DEFINITIONS}
    if UNTIL_2019.match(draft) and "prefixItems" in schema:
        schema = without(schema, "prefixItems")
    if UNTIL_7.match(draft) and "contains" in schema:
        schema = without(schema, "minContains", "maxContains")
    return with_listed_required(with_numeric_bounds(with_prefix_items(schema)))


def without(schema: Schema, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}


def with_prefix_items(schema: Schema) -> Schema:
    """Until 2019-09, `items` could be a list, and `additionalItems` was for those after it."""
    if not isinstance(schema.get("items"), list):
        return without(schema, "additionalItems") if "additionalItems" in schema else schema
    rest = {"items": schema["additionalItems"]} if "additionalItems" in schema else {}
    return without(schema, "items", "additionalItems") | {"prefixItems": schema["items"]} | rest


def with_numeric_bounds(schema: Schema) -> Schema:
    """In draft 4, `exclusiveMinimum` said whether `minimum` itself is excluded."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(exclusive), bool):
            is_excluded = schema[exclusive] and inclusive in schema
            bound = {exclusive: schema[inclusive]} if is_excluded else {}
            schema = without(schema, exclusive, *([inclusive] if is_excluded else [])) | bound
    return schema


def with_listed_required(schema: Schema) -> Schema:
    """In draft 3, `required` stood in the property."""
    if isinstance(schema.get("required"), bool):
        schema = without(schema, "required")
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    names = [name for name, each in properties.items() if isinstance(each, dict) and each.get("required") is True]
    if not names:
        return schema
    listed = schema.get("required")
    return {**schema, "required": [*(listed if isinstance(listed, list) else []), *names]}
