"""Cuts subschemas out of the schema that they refer to."""

from collections.abc import Mapping
from typing import Any

from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS, NAMES, Schema
from oruel.json_schema.references import resolve_pointer

# The values of these keywords are data, not schemas.
DATA = frozenset({"const", "default", "enum", "examples"})


def self_contained(schema: Schema, root: Schema) -> dict[str, Any]:
    """A copy in which every target of a reference into `root` stands in `$defs`. A schema that is nothing but a
    reference becomes its target. References in both are plain.
    """
    schema = dereference(schema, root)
    names: dict[str, str] = {}
    found: dict[str, Any] = {}
    kept = relocate({name: each for name, each in schema.items() if name not in DEFINITIONS}, root, names)
    while missing := names.keys() - found.keys():
        found |= {reference: relocate(resolve_pointer(root, reference), root, names) for reference in missing}
    definitions = {names[reference]: each for reference, each in found.items()}
    return {**kept, "$defs": definitions} if definitions else dict(kept)


def dereference(schema: Schema, root: Schema) -> Schema:
    """Follows a chain of schemas that consist of nothing but a reference."""
    seen: set[int] = set()
    while id(schema) not in seen:
        seen.add(id(schema))
        restricting = schema.keys() - ANNOTATIONS - DEFINITIONS
        if restricting == {"$ref"}:
            target = resolve_pointer(root, schema["$ref"])
        elif restricting == {"allOf"} and len(schema["allOf"]) == 1:
            target = schema["allOf"][0]
        else:
            break
        schema = target if isinstance(target, Mapping) else schema
    return schema


def relocate(value: Any, root: Schema, names: dict[str, str]) -> Any:
    """A copy whose references point into `$defs`. Adds new targets to `names`, which maps references to keys there."""
    if isinstance(value, list):
        return [relocate(each, root, names) for each in value]
    if not isinstance(value, Mapping):
        return value
    kept = {name: each if name in DATA else relocate(each, root, names) for name, each in value.items()}
    for name in NAMES & kept.keys():
        if isinstance(kept[name], str):
            # The copy refers to places in itself only.
            del kept[name]
    reference = value.get("$ref")
    if isinstance(reference, str) and resolve_pointer(root, reference) is not None:
        kept["$ref"] = f"#/$defs/{names.setdefault(reference, f'r{len(names)}')}"
    return kept
