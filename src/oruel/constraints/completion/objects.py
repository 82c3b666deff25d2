"""Small objects that fit a variant, from the entries that they have already."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from oruel.constraints.completion.node import Variant
from oruel.constraints.completion.turns import in_turn

# How many optional keys are tried.
MAX_OPTIONAL = 8
# How many keys are added for minProperties.
MAX_ADDED = 300
STRING = {"type": "string"}
NOTHING: Any = object()

Entries = dict[str, Any]


def objects(variant: Variant, head: Entries) -> Iterator[Entries]:
    """`head` with what is missing; then with other values and further keys."""
    smallest = filled(variant, head, variant.required)
    if smallest is None:
        return
    smallest = with_least_count(variant, head, smallest)
    yield smallest
    added = [key for key in smallest if key not in head]
    others = [with_others(variant, smallest, key) for key in added]
    yield from in_turn([with_more(variant, head, smallest), *others])


def with_others(variant: Variant, entries: Entries, key: str) -> Iterator[Entries]:
    """With other values of one key."""
    yield from (entries | {key: value} for value in islice(variant.child(key).samples, 1, None))


def with_more(variant: Variant, head: Entries, entries: Entries) -> Iterator[Entries]:
    """With one more key each."""
    for key in islice(optional_keys(variant, head, entries), MAX_OPTIONAL):
        more = filled(variant, head, [*entries, key])
        if more is not None and len(more) > len(entries):
            yield more


def filled(variant: Variant, head: Entries, wanted: list[str]) -> Entries | None:
    """`head` with the wanted keys, as far as they may follow, and all that they need; None if one has no value."""
    added: Entries = {}
    waiting = [*wanted, *(key for known in head for key in variant.needed_with(known))]
    allowed = Followers(variant, head)
    for key in waiting:
        if key in head or key in added or key not in allowed:
            continue
        value = first_value(variant, key)
        if value is NOTHING:
            return None
        added[key] = value
        waiting += variant.needed_with(key)
    return head | in_order(variant, added)


def first_value(variant: Variant, key: str) -> Any:
    return next(iter(variant.child(key).samples), NOTHING)


def in_order(variant: Variant, entries: Entries) -> Entries:
    """Named keys by their position, then the others."""
    last = len(variant.named)
    return dict(sorted(entries.items(), key=lambda entry: variant.named.get(entry[0], last)))


class Followers:
    """The keys that may follow those of an object: named ones after the last, and free ones."""

    def __init__(self, variant: Variant, head: Entries) -> None:
        self.named = variant.named
        self.after = self.named.get(next(reversed(head)), len(self.named)) if head else -1

    def __contains__(self, key: str) -> bool:
        return self.named.get(key, len(self.named)) > self.after or key not in self.named


def with_least_count(variant: Variant, head: Entries, entries: Entries) -> Entries:
    """With optional keys up to minProperties."""
    least = min(variant.least("minProperties"), len(entries) + MAX_ADDED)
    keys = (key for key in optional_keys(variant, head, entries) if first_value(variant, key) is not NOTHING)
    while len(entries) < least:
        more = list(islice(keys, least - len(entries)))
        added = filled(variant, head, [*entries, *more])
        if not more or added is None:
            break
        entries = added
    return entries


def optional_keys(variant: Variant, head: Entries, entries: Entries) -> Iterator[str]:
    """Keys that may be added: named ones, then free ones."""
    allowed = Followers(variant, head)
    yield from (key for key in variant.named if key not in entries and key in allowed)
    yield from (key for key in free_keys(variant) if key not in entries and key not in variant.named)


def free_keys(variant: Variant) -> Iterator[str]:
    """Short keys that aren't named and that the variant doesn't exclude; endless if it excludes few."""
    rules = variant.nodes.node(list(variant.given("propertyNames")))
    patterns = [pattern for given in variant.given("patternProperties") for pattern in given]
    shapes = [STRING, *map(variant.nodes.pattern_schema, patterns)]
    keys = in_turn([islice(rules.also(shape).samples, MAX_ADDED + 8) for shape in shapes])
    seen = set[str]()
    for key in keys:
        if isinstance(key, str) and key and key not in seen and may_add(variant, key):
            seen.add(key)
            yield key


def may_add(variant: Variant, key: str) -> bool:
    return key not in variant.named and first_value(variant, key) is not NOTHING
