"""Copies of a candidate with other values, keys or items where it is free."""

from collections.abc import Hashable, Iterator, Mapping
from itertools import islice
from typing import Any

from oruel.constraints.completion.candidate import Candidate
from oruel.constraints.completion.lists import identity
from oruel.constraints.completion.node import Node, Variant, is_same
from oruel.constraints.completion.objects import NOTHING, Followers, first_value, in_order, optional_keys
from oruel.constraints.completion.opening import Next, Path, value_at
from oruel.constraints.completion.opposites import Opposites
from oruel.constraints.completion.planner import Planner, child_of, filled_up, has_entry

# How many other values are tried for one place, how many keys are added, and how many values less likely to help.
MAX_VALUES, MAX_KEYS, MAX_OTHERS = 8, 6, 3
# How many values are compared with those that are there.
MAX_TRIED = 400
# In how many entries of a container changes are tried.
MAX_INSIDE = 12

Candidates = Iterator[Candidate]


class Changes:
    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._opposites = Opposites()

    def any_at(self, candidate: Candidate, path: Path, about: Any = None) -> Candidates:
        """Any other values at `path`; with a schema `about`, first those of the keys that it mentions."""
        if candidate.opening.is_fixed(path) or not exists(candidate, path):
            return
        for opposite in self._opposites.of(about):
            yield from islice(self.toward(candidate, path, opposite), MAX_OTHERS)
        value = candidate.at(path)
        if isinstance(value, dict):
            yield from self._changed_keys(candidate, path, about)
        elif isinstance(value, list):
            yield from self._changed_items(candidate, path, about)
        yield from self.values(candidate, path)

    def node(self, candidate: Candidate, path: Path) -> Node:
        return self._planner.node_at(candidate.root, path)

    def variant(self, candidate: Candidate, path: Path, *also: Any) -> Variant:
        node = self.node(candidate, path).also(*also)
        found = self._planner.variant_of(node, candidate.head(path)) or next(iter(node.variants), None)
        return found or Variant(self._planner.nodes, [])

    def values(self, candidate: Candidate, path: Path, *also: Any) -> Candidates:
        """Other values at a place that is free or in progress; none for an open container."""
        opening = candidate.opening
        if opening.is_fixed(path) or opening.frame_at(path) is not None or not exists(candidate, path):
            return
        node = self.node(candidate, path).also(*also)
        current = candidate.at(path)
        if opening.next is Next.VALUE and path == opening.place and opening.begun is not None:
            for end, value in islice(self._planner.ends(opening, node), MAX_VALUES):
                if end != candidate.end:
                    yield candidate.with_end(end, value)
            return
        for value in islice(node.samples, MAX_VALUES):
            if not is_same(value, current):
                yield candidate.with_value(path, value)

    def toward(self, candidate: Candidate, path: Path, *also: Any) -> Candidates:
        """With values that fit other schemas as well, also where a container is open."""
        if candidate.opening.frame_at(path) is None:
            yield from self.values(candidate, path, *also)
            return
        node = self.node(candidate, path).also(*also)
        for variant in islice(node.variants_of(value_at(candidate.opening.written, path)), MAX_OTHERS):
            changed = candidate
            for inner in candidate.opening.open_inside(path):
                schemas = child_of(variant, inner[-1]).schemas
                changed = next(self.toward(changed, inner, *schemas), changed)
            whole = filled_up(variant, changed.head(path))
            yield changed.with_value(path, kept_keys(variant, whole, changed.at(path)))

    def _changed_keys(self, candidate: Candidate, path: Path, about: Any) -> Candidates:
        value = candidate.at(path)
        mentioned = [key for key in mentioned_keys(about) if isinstance(key, str)]
        for key in mentioned:
            inner = sub_schema(about, key)
            if key not in value:
                yield from islice(self.with_key(candidate, path, key), MAX_OTHERS)
            elif inner is None:
                yield from self.without_key(candidate, path, key)
            else:
                yield from islice(self.any_at(candidate, (*path, key), inner), MAX_VALUES)
                yield from self.without_key(candidate, path, key)
        variant = self.variant(candidate, path)
        for key in islice(optional_keys(variant, candidate.head(path), value), MAX_KEYS):
            yield from islice(self.with_key(candidate, path, key), 1)
        for key in reversed(list(value)):
            if key not in mentioned:
                yield from self.without_key(candidate, path, key)
        for key in islice([key for key in value if key not in mentioned], MAX_INSIDE):
            yield from islice(self.any_at(candidate, (*path, key)), 3)

    def with_key(self, candidate: Candidate, path: Path, key: str, *also: Any) -> Candidates:
        """With a key that may follow what is written, with some values in turn."""
        value = candidate.at(path)
        variant = self.variant(candidate, path)
        head = candidate.head(path)
        if key in value or key not in Followers(variant, head):
            return
        more = [schema for one in also for schema in self.variant(candidate, path, one).child(key).schemas]
        added = {known: one for known, one in value.items() if known not in head}
        for found in islice(variant.child(key).also(*more).samples, MAX_VALUES):
            yield candidate.with_value(path, head | in_order(variant, added | {key: found}))

    def without_key(self, candidate: Candidate, path: Path, key: str) -> Candidates:
        value = candidate.at(path)
        place = list(value).index(key)
        if place >= candidate.fixed_count(path) and not candidate.opening.is_fixed(path):
            yield candidate.with_value(path, {known: one for known, one in value.items() if known != key})

    def dropped(self, candidate: Candidate, path: Path, key: str | int) -> Candidates:
        if isinstance(key, str):
            yield from self.without_key(candidate, path, key)
        elif key >= candidate.fixed_count(path) and not candidate.opening.is_fixed(path):
            yield candidate.with_value(path, candidate.at(path)[:key])

    def _changed_items(self, candidate: Candidate, path: Path, about: Any) -> Candidates:
        items = candidate.at(path)
        fixed = candidate.fixed_count(path)
        inner = about.get("contains", about.get("items")) if isinstance(about, Mapping) else None
        if items and isinstance(about, Mapping) and about.get("uniqueItems") is True:
            yield candidate.with_value(path, [*items, items[-1]])
        yield from self.with_item(candidate, path)
        for place in reversed(range(max(0, fixed - 1), len(items))):
            yield from islice(self.any_at(candidate, (*path, place), inner), 3)
        if len(items) > fixed:
            yield candidate.with_value(path, items[:-1])

    def with_item(self, candidate: Candidate, path: Path, *also: Any) -> Candidates:
        """With one more item, with some values in turn that aren't there yet."""
        if candidate.opening.is_fixed(path):
            return
        items = candidate.at(path)
        known = {identity(item) for item in items}
        node = self.variant(candidate, path).item(len(items)).also(*also)
        values = (value for value in islice(node.samples, MAX_TRIED) if identity(value) not in known)
        found = list(islice(values, MAX_VALUES)) or list(islice(node.samples, 1))
        yield from (candidate.with_value(path, [*items, value]) for value in found)

    def distinct(self, candidate: Candidate, path: Path, known: set[Hashable]) -> Candidates:
        """With other values at `path` that aren't among `known`."""
        opening = candidate.opening
        if opening.is_fixed(path):
            return
        if opening.frame_at(path) is not None:
            found = self.any_at(candidate, path)
        elif opening.next is Next.VALUE and path == opening.place and opening.begun is not None:
            ends = islice(self._planner.ends(opening, self.node(candidate, path)), MAX_TRIED)
            found = (candidate.with_end(end, value) for end, value in ends)
        else:
            values = islice(self.node(candidate, path).samples, MAX_TRIED)
            found = (candidate.with_value(path, value) for value in values)
        yield from (changed for changed in found if identity(changed.at(path)) not in known)

    def replaced(self, candidate: Candidate, path: Path, *wanted: Any) -> Candidates:
        """With another value of each item that isn't written, the last first."""
        free = range(max(0, candidate.fixed_count(path) - 1), len(candidate.at(path)))
        for place in reversed(free):
            yield from islice(self.toward(candidate, (*path, place), *wanted), MAX_OTHERS)


def kept_keys(variant: Variant, value: Any, before: Any) -> Any:
    """With the other keys that an object had before, and first values of the variant for them."""
    if not isinstance(value, dict) or not isinstance(before, dict):
        return value
    missing = {key: first_value(variant, key) for key in before if key not in value}
    return value | in_order(variant, {key: one for key, one in missing.items() if one is not NOTHING})


def exists(candidate: Candidate, path: Path) -> bool:
    value = candidate.root
    for key in path:
        if not has_entry(value, key):
            return False
        value = value[key]
    return True


def mentioned_keys(schema: Any) -> Iterator[str]:
    """The keys of an object that a schema is about."""
    if not isinstance(schema, Mapping):
        return
    found = [*(schema.get("properties") or ()), *(schema.get("required") or ())]
    for keyword in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(keyword) or ():
            found += mentioned_keys(one)
    for keyword in ("not", "if"):
        found += mentioned_keys(schema.get(keyword))
    yield from dict.fromkeys(found)


def sub_schema(schema: Any, key: str) -> Any:
    """What a schema says of a key."""
    named = schema.get("properties") if isinstance(schema, Mapping) else None
    return named.get(key) if isinstance(named, Mapping) else None
