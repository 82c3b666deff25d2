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
    if "$ref" in schema and schema["$ref"] not in ending:
        return False
    some = [schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list)]
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
        required, properties = schema.get("required"), schema.get("properties")
        if not isinstance(required, list) or not isinstance(properties, Mapping):
            return True
        return all(ends(properties.get(name), ending) for name in required if isinstance(name, str))
    least = schema.get("minItems", 0)
    if kinds in ("array", ["array"]) and isinstance(least, (int, float)) and least > 0 and "prefixItems" not in schema:
        return ends(schema.get("items"), ending)
    return True
