"""Arguments as nested elements, each value between tags with the name of its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oruel.json_schema.keywords import ANNOTATIONS
from oruel.json_schema.references import resolve_pointer

MOST_REFERENCES = 20


@dataclass(frozen=True, slots=True)
class ElementSyntax:
    """(mark<key> value mark</key>)*. Objects and arrays are written the same way, each array entry as an `item`.
    Strings are written verbatim, numbers and booleans as in JSON, and null is left out.
    """

    mark: str

    def opened(self, key: str) -> str:
        return f"{self.mark}<{key}>"

    def closed(self, key: str) -> str:
        return f"{self.mark}</{key}>"


def single_type_schema(schema: Any, root: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema with a single type, without null and with references resolved; None if a reader couldn't tell the type
    of a value.
    """
    for _ in range(MOST_REFERENCES):
        if not isinstance(schema, Mapping):
            return None
        found = {name: value for name, value in schema.items() if name not in ("$ref", "anyOf", "oneOf", "allOf")}
        if "$ref" in schema:
            inner = resolve_pointer(root, schema["$ref"])
        elif keyword := next((name for name in ("anyOf", "oneOf", "allOf") if name in schema), None):
            ways = [way for way in schema[keyword] if not is_null(way)]
            inner = ways[0] if len(ways) == 1 else None
        else:
            return with_type(found)
        if not isinstance(inner, Mapping) or conflict(found, inner):
            return None
        schema = {**found, **inner}
    return None


def conflict(schema: Mapping[str, Any], other: Any) -> str:
    """A keyword that restricts values and has different values in both schemas; empty if there is none."""
    both = [name for name in schema if isinstance(other, Mapping) and name in other and schema[name] != other[name]]
    return next((name for name in both if name not in ANNOTATIONS), "")


def with_type(schema: dict[str, Any]) -> dict[str, Any] | None:
    named = schema.get("type")
    if isinstance(named, list):
        others = [each for each in named if each != "null"]
        named = others[0] if len(others) == 1 else None
    choices = [choice for choice in schema.get("enum", [schema.get("const")]) if choice is not None]
    if named is None and choices:
        kinds: dict[str, Any] = {"string": str, "boolean": bool, "number": (int, float)}
        named = next((n for n, kind in kinds.items() if all(isinstance(choice, kind) for choice in choices)), None)
    if named is None:
        named = "object" if schema.get("properties") else "array" if "items" in schema else None
    return {**schema, "type": named} if named and named != "null" else None


def is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (schema.get("type") == "null" or schema.get("const", 0) is None)
