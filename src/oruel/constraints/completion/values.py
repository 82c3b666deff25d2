"""Small values that fit a node, the shortest first."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from oruel.constraints.completion.lists import lists
from oruel.constraints.completion.node import Variant, contradicts, type_of
from oruel.constraints.completion.numbers import numbers
from oruel.constraints.completion.objects import objects
from oruel.constraints.completion.strings import strings
from oruel.constraints.completion.turns import in_turn

# The values of each type, in the order in which they are tried if several types are allowed.
SCALARS = ("integer", "null", "string", "boolean", "number")
# Up to here, floats have a form without exponent.
LARGEST_EXACT = 1e15
# How many variants are compared by the length of their first value.
MAX_COMPARED = 12


def values(variants: Iterator[Variant]) -> Iterator[Any]:
    """Of all variants in turn, beginning with the shortest."""
    started = []
    for variant in islice(variants, MAX_COMPARED):
        found = values_of(variant)
        first = list(islice(found, 1))
        if first:
            started.append((len(json.dumps(first[0])), first[0], found))
    started.sort(key=lambda one: one[0])
    yield from (first for _, first, _ in started)
    yield from in_turn([found for _, _, found in started])
    yield from in_turn([values_of(variant) for variant in variants])


def values_of(variant: Variant) -> Iterator[Any]:
    listed = listed_values(variant)
    if listed is not None:
        yield from sorted(listed, key=lambda one: len(json.dumps(one)))
        return
    types = variant.types
    if "number" in types:
        types = [one for one in types if one != "integer"] if "integer" not in given_types(variant) else types
    order = sorted(types, key=lambda one: SCALARS.index(one) if one in SCALARS else len(SCALARS))
    sources = [of_type(variant, one) for one in order]
    yield from in_turn(sources)


def given_types(variant: Variant) -> set[str]:
    return {one for given in variant.given("type") for one in (given if isinstance(given, list) else [given])}


def listed_values(variant: Variant) -> list[Any] | None:
    """Those of enum and const that nothing else excludes; None if no values are listed. A variant has a schema of its
    own for each of those lists in which there are objects or arrays.
    """
    given = [*(values for values in variant.given("enum") if isinstance(values, list))]
    given += [[value] for value in variant.given("const")]
    lists_of = [values for values in given if not any(isinstance(value, (dict, list)) for value in values)]
    if not lists_of:
        return None
    shortest = min(lists_of, key=len)
    types = set(variant.types)
    fitting = (form for one in shortest if type_of(one) in types for form in forms(one))
    return [one for one in fitting if not any(contradicts(variant.nodes, facet, one) for facet in variant.facets)]


def forms(value: Any) -> Iterator[Any]:
    """Of a whole number with a fraction, also that without. A grammar may accept only one of them."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_EXACT:
        yield int(value)
    yield value


def of_type(variant: Variant, kind: str) -> Iterator[Any]:
    if kind == "null":
        yield None
    elif kind == "boolean":
        yield from (True, False)
    elif kind in ("integer", "number"):
        yield from numbers(variant, is_whole=kind == "integer")
    elif kind == "string":
        yield from strings(variant)
    elif kind == "array":
        yield from lists(variant, [])
    else:
        yield from objects(variant, {})
