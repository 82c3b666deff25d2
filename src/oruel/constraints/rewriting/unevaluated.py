"""`unevaluatedProperties` and `unevaluatedItems` as keywords for what isn't described, where it is known what is."""

from collections.abc import Iterator, Mapping
from typing import Any

from oruel.json_schema.keywords import Schema
from oruel.json_schema.references import resolve_pointer

# What these describe depends on the value.
CONDITIONAL = {
    "anyOf",
    "oneOf",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
    "$dynamicRef",
    "$recursiveRef",
}
MOST_APPLIED = 32
ALL_MEMBERS = {"additionalProperties", "unevaluatedProperties"}
ALL_ITEMS = {"items", "unevaluatedItems"}


def without_unevaluated(schema: Schema, root: Schema) -> Schema:
    if not {"unevaluatedProperties", "unevaluatedItems"} & schema.keys():
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("unevaluatedProperties", "unevaluatedItems")}
    applied = list(applied_schemas(kept, root))
    if len(applied) > MOST_APPLIED or not all(map(is_unconditional, applied)):
        return schema
    if "unevaluatedProperties" in schema:
        kept |= described_members(applied, schema["unevaluatedProperties"])
    if "unevaluatedItems" not in schema:
        return kept
    if any("contains" in one for one in applied):
        return {**kept, "unevaluatedItems": schema["unevaluatedItems"]}
    return kept | described_items(applied, schema["unevaluatedItems"])


def applied_schemas(schema: Schema, root: Schema) -> Iterator[Any]:
    """What applies to each value of the schema: itself, the target of its reference, and its allOf."""
    waiting: list[Any] = [schema]
    for one in waiting:
        yield one
        if isinstance(one, Mapping) and len(waiting) <= MOST_APPLIED:
            waiting += [resolve_pointer(root, one["$ref"])] if "$ref" in one else []
            waiting += one["allOf"] if isinstance(one.get("allOf"), list) else []


def is_unconditional(schema: Any) -> bool:
    return isinstance(schema, Mapping) and not CONDITIONAL & schema.keys()


def described_members(applied: list[Schema], others: Any) -> dict[str, Any]:
    if any(ALL_MEMBERS & one.keys() for one in applied):
        return {}
    properties = merged(applied, "properties")
    patterns = merged(applied, "patternProperties")
    return {
        **({"properties": properties} if properties else {}),
        **({"patternProperties": patterns} if patterns else {}),
        "additionalProperties": others,
    }


def merged(applied: list[Schema], keyword: str) -> dict[str, Any]:
    """The schema's own members, and those of others, which say themselves what fits."""
    named = [one[keyword] if isinstance(one.get(keyword), Mapping) else {} for one in applied]
    return {**named[0], **{name: True for each in named[1:] for name in each if name not in named[0]}}


def described_items(applied: list[Schema], others: Any) -> dict[str, Any]:
    if any(ALL_ITEMS & one.keys() for one in applied):
        return {}
    firsts = [one["prefixItems"] if isinstance(one.get("prefixItems"), list) else [] for one in applied]
    missing = max(map(len, firsts)) - len(firsts[0])
    prefix = [*firsts[0], *[True] * missing]
    return {**({"prefixItems": prefix} if prefix else {}), "items": others}
