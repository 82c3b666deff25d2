"""Contradictions between the counts of an object's members, which the grammar leaves out."""

from collections.abc import Mapping
from typing import Any

from oruel.json_schema.keywords import Schema


def contradiction_of_counts(schema: Schema) -> str:
    """Why no object fits the schema's own counts; empty if one may, or if the schema isn't only for objects."""
    if schema.get("type") != "object":
        return ""
    least, most = count(schema.get("minProperties"), 0), count(schema.get("maxProperties"), None)
    required = schema.get("required")
    if most is not None and least > most:
        return f"minProperties > maxProperties: {least:,} > {most:,}"
    if most is not None and isinstance(required, list) and len(set(map(str, required))) > most:
        return f"it requires more members than its maxProperties, {most:,}, allows"
    named = schema.get("properties", {})
    is_closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    if is_closed and isinstance(named, Mapping) and least > len(named):
        return f"its minProperties is {least:,}, but it allows only {len(named):,} members"
    return ""


def count(value: Any, default: Any) -> Any:
    return value if isinstance(value, int | float) else default
