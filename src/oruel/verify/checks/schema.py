"""Just enough of JSON Schema to judge answers to the checks' own schemas: type, enum, items, properties, required and
additionalProperties. Nothing of this is shared with the code that enforces schemas.
"""

import json
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def violation(value: Any, schema: dict[str, Any], path: str = "") -> str | None:
    """The first rule that the value breaks, in words, or None."""
    where = path or "the document"
    kind = schema.get("type")
    if kind and not (isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))):
        return f"{where} is not of type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is not one of its enum's values"
    if isinstance(value, dict):
        return violation_of_object(value, schema, path)
    if isinstance(value, list) and "items" in schema:
        found = (violation(item, schema["items"], f"{path}[{index}]") for index, item in enumerate(value))
        return next(filter(None, found), None)
    return None


def violation_of_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> str | None:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{name} is required, but missing"
    for name, member in value.items():
        if name not in properties:
            if schema.get("additionalProperties") is False:
                return "a property is added that the schema doesn't allow"
        elif found := violation(member, properties[name], f"{path}.{name}".lstrip(".")):
            return found
    return None


def violation_of_text(text: str, schema: dict[str, Any]) -> str | None:
    """Like `violation`, of a text that should be JSON without NaN and the like."""
    try:
        return violation(json.loads(text, parse_constant=refuse_constant), schema)
    except ValueError:
        return "it isn't valid JSON"


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
