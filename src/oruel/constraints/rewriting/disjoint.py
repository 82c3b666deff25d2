"""Whether it can be proved that no value fits two schemas."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oruel.constraints.rewriting.negations import canonical, names_in
from oruel.json_schema.keywords import Schema
from oruel.json_schema.references import resolve_pointer

MOST_LEVELS = 4
# Conjuncts of one schema, and comparisons of two, for all schemas of a document.
MOST_CONJUNCTS, MOST_COMPARISONS = 32, 20_000
# JSON Schema's integers are numbers.
KINDS = {"number": {"integer", "fraction"}}
ALL_KINDS = frozenset({"null", "boolean", "string", "array", "object", "integer", "fraction"})
# What counts or measures values of one kind.
RANGES = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
    "number": ("minimum", "maximum"),
}


class Disjointness:
    """Compares subschemas of `root`, whose references are plain, down to so many `levels`, with `most` comparisons."""

    def __init__(self, root: Schema, *, levels: int = MOST_LEVELS, most: int = MOST_COMPARISONS) -> None:
        self._root = root
        self._levels = levels
        self._left = most

    def proves(self, schema: Any, other: Any, *, beside: Schema) -> bool:
        """Whether no value fits both, and what stands beside them."""
        return self._are_disjoint([schema, beside], [other, beside], self._levels)

    def _are_disjoint(self, some: Sequence[Any], others: Sequence[Any], levels: int) -> bool:
        """`some` apply together, and so do `others`."""
        self._left -= 1
        if levels < 0 or self._left < 0:
            return False
        ours, theirs = list(self._conjuncts(some)), list(self._conjuncts(others))
        if any(one is False for one in (*ours, *theirs)):
            return True
        first = [one for one in ours if isinstance(one, Mapping)]
        second = [one for one in theirs if isinstance(one, Mapping)]
        kinds = kinds_of(first) & kinds_of(second)
        return (
            not kinds
            or have_other_values(first, second)
            or are_apart(first + second, kinds)
            or (kinds == {"object"} and self._differ_in_member(first, second, levels))
            or self._all_options(first, second, levels)
            or self._all_options(second, first, levels)
        )

    def _conjuncts(self, schemas: Sequence[Any]) -> Iterator[Any]:
        """The schemas, the targets of their references, and what is in allOf."""
        waiting = list(schemas)
        for one in waiting:
            yield one
            if isinstance(one, Mapping) and len(waiting) < MOST_CONJUNCTS:
                target = resolve_pointer(self._root, one.get("$ref"))
                waiting += [target] if target is not None else []
                waiting += one["allOf"] if isinstance(one.get("allOf"), list) else []

    def _all_options(self, some: Sequence[Schema], others: Sequence[Schema], levels: int) -> bool:
        """Whether each option of one choice among `some` is disjoint from `others`."""
        choices = [one[key] for one in some for key in ("anyOf", "oneOf") if isinstance(one.get(key), list)]
        return any(
            all(self._are_disjoint([option, *some_without(some, choice)], others, levels - 1) for option in choice)
            for choice in choices
        )

    def _differ_in_member(self, some: Sequence[Schema], others: Sequence[Schema], levels: int) -> bool:
        """Whether both have a member whose values can't be the same."""
        required = [
            name
            for one in (*some, *others)
            for name in (one["required"] if isinstance(one.get("required"), list) else [])
            if isinstance(name, str)
        ]
        return any(
            self._are_disjoint(list(members(some, name)), list(members(others, name)), levels - 1)
            for name in dict.fromkeys(required)
        )


def some_without(schemas: Sequence[Schema], choice: Any) -> list[Schema]:
    """The schemas, of which one has lost this choice."""
    return [{key: value for key, value in one.items() if value is not choice} for one in schemas]


def members(schemas: Sequence[Schema], name: str) -> Iterator[Any]:
    """What the schemas say about the member of an object."""
    for one in schemas:
        properties = one.get("properties")
        if isinstance(properties, Mapping) and name in properties:
            yield properties[name]
        elif not one.get("patternProperties"):
            yield one.get("additionalProperties", True)


def kinds_of(schemas: Sequence[Schema]) -> frozenset[str]:
    kinds = ALL_KINDS
    for one in schemas:
        if listed := names_in(one.get("type")):
            kinds &= {kind for each in listed for kind in KINDS.get(each, {each})}
        for values in listed_in(one):
            kinds &= set(map(kind_of, values))
    return kinds


def kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "integer" if isinstance(value, int) or float(value).is_integer() else "fraction"


def listed_in(schema: Schema) -> Iterator[list[Any]]:
    if "const" in schema:
        yield [schema["const"]]
    if isinstance(schema.get("enum"), list):
        yield schema["enum"]


def have_other_values(some: Sequence[Schema], others: Sequence[Schema]) -> bool:
    ours = [set(map(canonical, values)) for one in some for values in listed_in(one)]
    theirs = [set(map(canonical, values)) for one in others for values in listed_in(one)]
    return any(first.isdisjoint(second) for first in ours for second in theirs)


def are_apart(schemas: Sequence[Schema], kinds: frozenset[str]) -> bool:
    """Whether the bounds of the schemas together contradict each other, for the one kind that all allow."""
    kind = "number" if kinds <= KINDS["number"] else next(iter(kinds)) if len(kinds) == 1 else ""
    if kind not in RANGES:
        return False
    least, most = (numbers(schemas, key) for key in RANGES[kind])
    if kind == "number":
        above, below = numbers(schemas, "exclusiveMinimum"), numbers(schemas, "exclusiveMaximum")
        return (
            any(low > high for low in least for high in most)
            or any(low >= high for low in above for high in (*most, *below))
            or any(low >= high for low in least for high in below)
        )
    return any(low > high for low in least for high in most)


def numbers(schemas: Sequence[Schema], keyword: str) -> list[float]:
    found = (one.get(keyword) for one in schemas)
    return [number for number in found if isinstance(number, (int, float)) and not isinstance(number, bool)]
