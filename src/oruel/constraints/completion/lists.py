"""Small arrays that fit a variant, from the items that they have already."""

import json
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import Any

from oruel.constraints.completion.node import Node, Variant, contradicts

# How many items are added, and how many values are tried for one.
MAX_ITEMS, MAX_TRIED = 1_000, 1_000
MAX_LONGER, MAX_BEFORE = 3, 8


def lists(variant: Variant, head: Sequence[Any]) -> Iterator[list[Any]]:
    """`head` with what is missing; then with other values and further items."""
    smallest = filled(variant, head, variant.least("minItems"))
    if smallest is None:
        return
    yield smallest
    most = variant.most("maxItems", MAX_ITEMS)
    for length in range(len(smallest) + 1, min(most, len(smallest) + MAX_LONGER) + 1):
        longer = filled(variant, smallest, length)
        if longer is None:
            break
        yield longer
    place = len(smallest) - 1
    if place >= len(head):
        for value in islice(variant.item(place).samples, 1, MAX_TRIED):
            yield [*smallest[:-1], value]


def filled(variant: Variant, head: Sequence[Any], least: int) -> list[Any] | None:
    """With the items that `contains` asks for, and up to `least` items; None if one has no value."""
    items = list(head)
    fresh = Fresh(items) if is_unique(variant) else None
    for schema, least_of_it in contained(variant) if not head else ():
        fitting = sum(not contradicts(variant.nodes, schema, item) for item in items)
        for _ in range(min(least_of_it, MAX_ITEMS) - fitting):
            if not add_containing(items, variant, schema, fresh):
                return None
    while len(items) < min(least, MAX_ITEMS):
        if not add_item(items, variant.item(len(items)), fresh):
            return None
    return items


def contained(variant: Variant) -> Iterator[tuple[Any, int]]:
    """The schema of the items that each `contains` asks for, and how many."""
    for facet in variant.facets:
        if "contains" in facet:
            least = facet.get("minContains", 1)
            yield facet["contains"], least if isinstance(least, int) else 1


def add_containing(items: list[Any], variant: Variant, schema: Any, fresh: "Fresh | None") -> bool:
    """Adds an item that fits `schema`; others before it, if the next positions don't allow it."""
    for _ in range(MAX_BEFORE):
        if add_item(items, variant.item(len(items)).also(schema), fresh):
            return True
        if not add_item(items, variant.item(len(items)), fresh):
            return False
    return False


class Fresh:
    """Values of nodes that aren't in use yet."""

    def __init__(self, used: Sequence[Any]) -> None:
        self._used = set(map(identity, used))
        self._running: dict[Node, Iterator[Any]] = {}

    def next_of(self, node: Node) -> Iterator[Any]:
        """At most one."""
        values = self._running.setdefault(node, islice(iter(node.samples), MAX_TRIED))
        for value in values:
            key = identity(value)
            if key not in self._used:
                self._used.add(key)
                yield value
                return


def add_item(items: list[Any], node: Node, fresh: Fresh | None) -> bool:
    """Adds a value of the node. Returns whether there is one."""
    for value in islice(fresh.next_of(node) if fresh else node.samples, 1):
        items.append(value)
        return True
    return False


def is_unique(variant: Variant) -> bool:
    return any(given is True for given in variant.given("uniqueItems"))


def identity(value: Any) -> Hashable:
    """Equal for values that are equal in JSON, where true isn't 1."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, (list, dict)):
        return json.dumps(value, sort_keys=True), len(value)
    found: Hashable = value
    return found
