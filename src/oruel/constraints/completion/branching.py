"""How many errors the validator may list: those of all alternatives, at each level of a document."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from oruel.json_schema.keywords import Schema, inner_schemas, subschemas
from oruel.json_schema.references import resolve_pointer

# How many errors may be listed at most, roughly, and how many ways through a schema make it large.
MAX_LISTED, MANY_WAYS = 20_000, 1_000
MAX_CHAIN = 300


def listable_depth(root: Schema) -> float:
    """How deep a document may nest so that its errors can be listed. Each level multiplies them by the number of
    alternatives that are large or recursive.
    """
    ways = _Ways(root)
    large = max(map(ways.large_options, subschemas(root)), default=0)
    return math.inf if large < 2 else math.log(MAX_LISTED) / math.log(large)


def depth_of(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [inner for one in level for inner in members(one)]
        depth += 1
    return depth


def members(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


class _Ways:
    """Counts the ways through a schema, with its references followed; without end for a recursive one."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[int, float] = {}

    def large_options(self, schema: Schema) -> int:
        groups = [schema[keyword] for keyword in ("anyOf", "oneOf") if isinstance(schema.get(keyword), list)]
        return max((sum(self._count(one, 0) > MANY_WAYS for one in group) for group in groups), default=0)

    def _count(self, schema: Any, depth: int) -> float:
        if not isinstance(schema, Mapping):
            return 1
        if depth > MAX_CHAIN:
            return math.inf
        if id(schema) not in self._known:
            # While it is counted, another way to it is a cycle.
            self._known[id(schema)] = math.inf
            inner = [*inner_schemas({key: one for key, one in schema.items() if key not in ("$defs", "definitions")})]
            if isinstance(schema.get("$ref"), str):
                inner.append(resolve_pointer(self._root, schema["$ref"]))
            self._known[id(schema)] = 1 + sum(self._count(one, depth + 1) for one in inner)
        return self._known[id(schema)]
