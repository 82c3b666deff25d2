"""JSON Schemas cut out of the whole that they refer to."""

from collections.abc import Mapping
from typing import Any

# Keywords that restrict nothing.
ANNOTATIONS = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description", "examples",
     "readOnly", "title", "writeOnly"}
)  # fmt: skip
# What stands there is no schema.
DATA = frozenset({"const", "default", "enum", "examples"})


def self_contained(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """The same with all that it refers to in `root` among `$defs` of its own; where it does nothing but refer, what it
    refers to.
    """
    schema = at_its_end(schema, root)
    names: dict[str, str] = {}
    found: dict[str, Any] = {}
    kept = relocate({name: each for name, each in schema.items() if name not in ("$defs", "definitions")}, root, names)
    while missing := names.keys() - found.keys():
        found |= {reference: relocate(resolve_target(reference, root), root, names) for reference in missing}
    definitions = {names[reference]: each for reference, each in found.items()}
    return {**kept, "$defs": definitions} if definitions else dict(kept)


def at_its_end(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a schema that only refers to another comes to."""
    seen: set[int] = set()
    while id(schema) not in seen:
        seen.add(id(schema))
        says = schema.keys() - ANNOTATIONS
        if says == {"$ref"}:
            target = resolve_target(schema["$ref"], root)
        elif says == {"allOf"} and len(schema["allOf"]) == 1:
            target = schema["allOf"][0]
        else:
            break
        schema = target if isinstance(target, Mapping) else schema
    return schema


def relocate(value: Any, root: Mapping[str, Any], names: dict[str, str]) -> Any:
    """With each reference into `root` to where its target will stand. `names` grows with what wasn't known."""
    if isinstance(value, list):
        return [relocate(each, root, names) for each in value]
    if not isinstance(value, Mapping):
        return value
    kept = {name: each if name in DATA else relocate(each, root, names) for name, each in value.items()}
    if isinstance(kept.get("$id"), str):
        # What is cut out refers to places in itself alone, whatever it was called.
        del kept["$id"]
    reference = value.get("$ref")
    if isinstance(reference, str) and resolve_target(reference, root) is not None:
        kept["$ref"] = f"#/$defs/{names.setdefault(reference, f'r{len(names)}')}"
    return kept


def resolve_target(reference: Any, root: Any) -> Any:
    """What it points to in `root`; None where it points elsewhere, or nowhere."""
    if not isinstance(reference, str) or (reference != "#" and not reference.startswith("#/")):
        return None
    found = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal():
            found = dict(enumerate(found)).get(int(name))
        elif isinstance(found, Mapping):
            found = found.get(name)
        else:
            return None
    return found
