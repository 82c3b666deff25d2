"""Finds schemas that no finite document fits, because each must contain another of the same kind."""

from collections.abc import Mapping
from typing import Any

from oruel.json_schema.keywords import Schema
from oruel.json_schema.references import references_in, resolve_pointer

# Enough for definitions that refer to each other in any sensible order.
MAX_ROUNDS = 64


def is_endless(schema: Schema) -> bool:
    """Computes the least fixed point: a reference ends if its target ends, given the references of the previous round.
    References to other documents count as ending, and so do all that are undecided after MAX_ROUNDS.
    """
    references = set(references_in(schema))
    targets = {reference: resolve_pointer(schema, reference) for reference in references}
    ending = {reference for reference, target in targets.items() if target is None}
    for _ in range(MAX_ROUNDS):
        more = {reference for reference in references - ending if ends(targets[reference], ending)}
        if not more:
            return not ends(schema, ending)
        ending |= more
    return False


def ends(schema: Any, ending: set[str]) -> bool:
    if not isinstance(schema, Mapping):
        return True
    if "enum" in schema or "const" in schema:
        return True
    if isinstance(schema.get("$ref"), str) and schema["$ref"] not in ending:
        return False
    some = [schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list) and schema[key]]
    every = schema["allOf"] if isinstance(schema.get("allOf"), list) else []
    return (
        all(any(ends(one, ending) for one in choices) for choices in some)
        and all(ends(one, ending) for one in every)
        and members_end(schema, ending)
    )


def members_end(schema: Schema, ending: set[str]) -> bool:
    """Whether the required content of an object or array ends. A schema that allows other types always has an end."""
    kinds = schema.get("type")
    if kinds in ("object", ["object"]):
        return object_ends(schema, ending)
    return array_ends(schema, ending) if kinds in ("array", ["array"]) else True


def object_ends(schema: Schema, ending: set[str]) -> bool:
    properties = schema["properties"] if isinstance(schema.get("properties"), Mapping) else {}
    others = [schema.get("additionalProperties", True)]
    others += schema["patternProperties"].values() if isinstance(schema.get("patternProperties"), Mapping) else []
    may_have_others = any(ends(one, ending) for one in others)
    required = schema["required"] if isinstance(schema.get("required"), list) else []
    if not all(
        ends(properties[name], ending) if name in properties else may_have_others
        for name in required
        if isinstance(name, str)
    ):
        return False
    return (
        not at_least(schema, "minProperties", 1)
        or may_have_others
        or any(ends(one, ending) for one in properties.values())
    )


def array_ends(schema: Schema, ending: set[str]) -> bool:
    first = schema["prefixItems"] if isinstance(schema.get("prefixItems"), list) else []
    needed = [one for place, one in enumerate(first, 1) if at_least(schema, "minItems", place)]
    needed += [schema.get("items")] if at_least(schema, "minItems", len(first) + 1) else []
    needed += [schema["contains"]] if "contains" in schema and schema.get("minContains") != 0 else []
    return all(ends(one, ending) for one in needed)


def at_least(schema: Schema, keyword: str, least: int) -> bool:
    value = schema.get(keyword, 0)
    return isinstance(value, (int, float)) and value >= least
