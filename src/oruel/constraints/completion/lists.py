"""Small arrays that fit a variant, from the items that they have already."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from oruel.constraints.completion.node import Node, Variant

# How many items are added, and how many values are tried for one.
MAX_ITEMS, MAX_TRIED = 1_000, 1_000
MAX_OTHERS, MAX_LONGER = 6, 3


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
    if len(smallest) > len(head):
        place = len(smallest) - 1
        for value in islice(variant.item(place).samples, 1, 1 + MAX_OTHERS):
            yield [*smallest[:-1], value]


def filled(variant: Variant, head: Sequence[Any], least: int) -> list[Any] | None:
    """With the items that `contains` asks for, and up to `least` items; None if one has no value."""
    items = list(head)
    seen = {text_of(item) for item in items} if is_unique(variant) else None
    for node in wanted_items(variant, items):
        if not add_item(items, node, seen):
            return None
    while len(items) < min(least, MAX_ITEMS):
        if not add_item(items, variant.item(len(items)), seen):
            return None
    return items


def wanted_items(variant: Variant, items: list[Any]) -> Iterator[Node]:
    """What is to be added for `contains`. Doesn't see whether an item fits already, unless it is clear."""
    for facet in variant.facets:
        if "contains" not in facet:
            continue
        least = facet.get("minContains", 1)
        wanted = least if isinstance(least, int) else 1
        # Positions with a schema of their own are left to it.
        first = len(facet["prefixItems"]) if isinstance(facet.get("prefixItems"), list) else 0
        for _ in range(min(wanted, MAX_ITEMS) if not items else 0):
            if len(items) >= first:
                yield variant.item(len(items)).also(facet["contains"])


def add_item(items: list[Any], node: Node, seen: set[str] | None) -> bool:
    """Adds the node's first value, or the first that isn't in `seen`. Returns whether there is one."""
    for value in islice(node.samples, MAX_TRIED):
        text = "" if seen is None else text_of(value)
        if seen is None or text not in seen:
            items.append(value)
            if seen is not None:
                seen.add(text)
            return True
    return False


def is_unique(variant: Variant) -> bool:
    return any(given is True for given in variant.given("uniqueItems"))


def text_of(value: Any) -> str:
    """Equal for values that are equal in JSON."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
