"""JSON values as schemas see them."""

from collections.abc import Sequence
from typing import Any

KINDS = ["string", "number", "integer", "boolean", "null", "array", "object"]


def kind_of(value: Any) -> str:
    """The type of a value, as schemas name it; "number" for whole numbers too."""
    if value is None:
        return "null"
    for one, kind in ((bool, "boolean"), (str, "string"), ((int, float), "number"), (list, "array")):
        if isinstance(value, one):
            return kind
    return "object"


def is_unique(values: Sequence[Any]) -> bool:
    return len(without_repeats(values)) == len(values)


def without_repeats(values: Sequence[Any]) -> list[Any]:
    """As JSON Schema compares: 1 is 1.0, but not true."""
    found: list[Any] = []
    for value in values:
        if not any(same(value, one) for one in found):
            found.append(value)
    return found


def same(one: Any, other: Any) -> bool:
    if kind_of(one) != kind_of(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)
