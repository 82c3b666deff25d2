"""Changes of a candidate that may mend an error of its document."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError

from oruel.constraints.completion.candidate import Candidate
from oruel.constraints.completion.lists import text_of
from oruel.constraints.completion.node import Node, Variant, is_same
from oruel.constraints.completion.objects import Followers, in_order, optional_keys
from oruel.constraints.completion.opening import Next, Path
from oruel.constraints.completion.planner import Planner, has_entry
from oruel.constraints.completion.validator import Validator
from oruel.constraints.completion.values import in_turn

# How many other values are tried for one place, and how many keys are added.
MAX_VALUES, MAX_KEYS, MAX_OTHERS = 8, 6, 3
MAX_TRIED = 400
# Containers in progress are changed at most this far inside.
MAX_INSIDE = 12
MAX_CONDITIONED = 16
DEPENDENCIES = {"dependentSchemas", "dependencies"}
CONDITIONAL = {"then", "else"} | DEPENDENCIES
# Keywords whose schemas apply to entries of a value; those of BY_NAME are followed by a name or a number.
BY_NAME = {"properties", "patternProperties", "prefixItems"}
OF_ENTRIES = BY_NAME | {"additionalProperties", "unevaluatedProperties", "items", "additionalItems", "unevaluatedItems"}

Candidates = Iterator[Candidate]
Fix = Callable[[Candidate, Path, ValidationError], Candidates]


class Repair:
    def __init__(self, planner: Planner, validator: Validator) -> None:
        self._planner = planner
        self._validator = validator
        self._of_objects: dict[str, Fix] = {
            "required": self._fix_required,
            "minProperties": self._fix_few_keys,
            "maxProperties": self._fix_many_keys,
            "additionalProperties": self._fix_unexpected,
            "unevaluatedProperties": self._fix_unexpected,
            "propertyNames": self._fix_names,
        }
        self._of_arrays: dict[str, Fix] = {
            "uniqueItems": self._fix_repeated,
            "contains": self._fix_contains,
            "minItems": self._fix_few_items,
            "maxItems": self._fix_many_items,
            "additionalItems": self._fix_many_items,
            "unevaluatedItems": self._fix_unevaluated,
        }
        self._of_all: dict[str, Fix] = {
            "falseSchema": self._fix_false,
            "not": self._fix_not,
            "anyOf": self._fix_no_branch,
            "oneOf": self._fix_branches,
        }

    def all_at_once(self, candidate: Candidate, errors: list[ValidationError]) -> Candidate:
        """With the first change for each error."""
        for error in errors:
            candidate = next(self.fixes(candidate, error), candidate)
        return candidate

    def fixes(self, candidate: Candidate, error: ValidationError) -> Candidates:
        """Changes for one error, the likely ones first."""
        path = tuple(error.instance_path)
        if exists(candidate, path):
            fix = self._fix_for(error.kind.name, candidate.at(path))
            if fix is not None:
                yield from fix(candidate, path, error)
            yield from self._other_values(candidate, path, self._parent(error))
        yield from self._other_conditions(candidate, path, error)
        while path:
            # An outer container may take another form.
            path = path[:-1]
            if not candidate.opening.is_fixed(path) and exists(candidate, path):
                yield from islice(self.changes(candidate, path), MAX_VALUES)

    def _fix_for(self, keyword: str, value: Any) -> Fix | None:
        if isinstance(value, dict) and keyword in self._of_objects:
            return self._of_objects[keyword]
        if isinstance(value, list) and keyword in self._of_arrays:
            return self._of_arrays[keyword]
        return self._of_all.get(keyword)

    def changes(self, candidate: Candidate, path: Path, about: Any = None) -> Candidates:
        """Any other values at `path`; with a schema `about`, first those of the keys that it mentions."""
        if candidate.opening.is_fixed(path) or not exists(candidate, path):
            return
        value = candidate.at(path)
        if isinstance(value, dict):
            yield from self._changed_keys(candidate, path, about)
        elif isinstance(value, list):
            yield from self._changed_items(candidate, path, about)
        yield from self._other_values(candidate, path)

    def _parent(self, error: ValidationError) -> Any:
        """The schema whose keyword has failed."""
        found = self._validator.schema_at(list(error.schema_path)[:-1])
        if error.kind.name == "falseSchema" or not isinstance(found, Mapping):
            return True
        return found

    def _node(self, candidate: Candidate, path: Path) -> Node:
        return self._planner.node_at(candidate.root, path)

    def _variant(self, candidate: Candidate, path: Path, *also: Any) -> Variant:
        node = self._node(candidate, path).also(*also)
        found = self._planner.variant_of(node, candidate.head(path)) or next(iter(node.variants), None)
        return found or Variant(self._planner.nodes, [])

    # Values

    def _other_values(self, candidate: Candidate, path: Path, *also: Any) -> Candidates:
        """Other values at a place that is free or in progress; none for an open container."""
        opening = candidate.opening
        if opening.is_fixed(path) or opening.frame_at(path) is not None or not exists(candidate, path):
            return
        node = self._node(candidate, path).also(*also)
        current = candidate.at(path)
        if opening.next is Next.VALUE and path == opening.place and opening.begun is not None:
            for end, value in islice(self._planner.ends(opening, node), MAX_VALUES):
                if end != candidate.end:
                    yield candidate.with_end(end, value)
            return
        for value in islice(node.samples, MAX_VALUES):
            if not is_same(value, current):
                yield candidate.with_value(path, value)

    # Objects

    def _changed_keys(self, candidate: Candidate, path: Path, about: Any) -> Candidates:
        value = candidate.at(path)
        mentioned = list(mentioned_keys(about))
        for key in mentioned:
            inner = sub_schema(about, key)
            if key not in value:
                yield from islice(self._with_key(candidate, path, key), MAX_OTHERS)
            elif inner is None:
                yield from self._without_key(candidate, path, key)
            else:
                yield from islice(self.changes(candidate, (*path, key), inner), MAX_VALUES)
                yield from self._without_key(candidate, path, key)
        variant = self._variant(candidate, path)
        for key in islice(optional_keys(variant, candidate.head(path), value), MAX_KEYS):
            yield from islice(self._with_key(candidate, path, key), 1)
        for key in reversed(list(value)):
            if key not in mentioned:
                yield from self._without_key(candidate, path, key)
        for key in islice([key for key in value if key not in mentioned], MAX_INSIDE):
            yield from islice(self.changes(candidate, (*path, key)), 3)

    def _with_key(self, candidate: Candidate, path: Path, key: str, *also: Any) -> Candidates:
        """With a key that may follow what is written, with some values in turn."""
        value = candidate.at(path)
        variant = self._variant(candidate, path)
        head = candidate.head(path)
        if key in value or key not in Followers(variant, head):
            return
        more = [schema for one in also for schema in self._variant(candidate, path, one).child(key).schemas]
        added = {known: one for known, one in value.items() if known not in head}
        for found in islice(variant.child(key).also(*more).samples, MAX_VALUES):
            yield candidate.with_value(path, head | in_order(variant, added | {key: found}))

    def _without_key(self, candidate: Candidate, path: Path, key: str) -> Candidates:
        value = candidate.at(path)
        place = list(value).index(key)
        if place >= candidate.fixed_count(path) and not candidate.opening.is_fixed(path):
            yield candidate.with_value(path, {known: one for known, one in value.items() if known != key})

    def _fix_required(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if candidate.opening.is_fixed(path):
            return
        key = detail(error, "property")
        yield from self._with_key(candidate, path, key, self._parent(error))
        for keyword in ("dependentRequired", "dependencies"):
            if keyword in error.schema_path:
                for known in list(candidate.at(path)):
                    yield from self._without_key(candidate, path, known)

    def _fix_few_keys(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if candidate.opening.is_fixed(path):
            return
        variant = self._variant(candidate, path)
        missing = detail(error, "limit") - len(candidate.at(path))
        found = list(islice(optional_keys(variant, candidate.head(path), candidate.at(path)), missing + MAX_KEYS))
        for first in range(max(1, len(found) - missing + 1)):
            changed = candidate
            for key in found[first : first + missing]:
                changed = next(self._with_key(changed, path, key), changed)
            yield changed

    def _fix_many_keys(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        required = self._variant(candidate, path).required
        for key in reversed(list(candidate.at(path))):
            if key not in required:
                yield from self._without_key(candidate, path, key)

    def _fix_unexpected(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        changed = candidate
        for key in detail(error, "unexpected"):
            if key in changed.at(path):
                changed = next(self._without_key(changed, path, key), changed)
        if changed is not candidate:
            yield changed
        parent = self._parent(error)
        if not isinstance(parent, Mapping):
            return
        for key in detail(error, "unexpected"):
            yield from self._other_values(candidate, (*path, key), parent.get("unevaluatedProperties", True))

    def _fix_names(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        name = detail(error, "error").instance
        if name in candidate.at(path):
            for changed in self._without_key(candidate, path, name):
                variant = self._variant(changed, path)
                for key in islice(optional_keys(variant, changed.head(path), changed.at(path)), MAX_KEYS):
                    if key != name:
                        yield from islice(self._with_key(changed, path, key), 1)
                yield changed

    def _fix_false(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """Drops the entry, or what follows it as well if it is an item."""
        if path:
            yield from self._dropped(candidate, path[:-1], path[-1])

    def _dropped(self, candidate: Candidate, path: Path, key: str | int) -> Candidates:
        if isinstance(key, str):
            yield from self._without_key(candidate, path, key)
        elif key >= candidate.fixed_count(path) and not candidate.opening.is_fixed(path):
            yield candidate.with_value(path, candidate.at(path)[:key])

    # Arrays

    def _changed_items(self, candidate: Candidate, path: Path, about: Any) -> Candidates:
        items = candidate.at(path)
        fixed = candidate.fixed_count(path)
        inner = about.get("contains", about.get("items")) if isinstance(about, Mapping) else None
        yield from self._with_item(candidate, path)
        for place in reversed(range(max(0, fixed - 1), len(items))):
            yield from islice(self.changes(candidate, (*path, place), inner), 3)
        if len(items) > fixed:
            yield candidate.with_value(path, items[:-1])

    def _with_item(self, candidate: Candidate, path: Path, *also: Any) -> Candidates:
        """With one more item, with some values in turn that aren't there yet."""
        if candidate.opening.is_fixed(path):
            return
        items = candidate.at(path)
        known = {text_of(item) for item in items}
        node = self._variant(candidate, path).item(len(items)).also(*also)
        values = (value for value in islice(node.samples, MAX_TRIED) if text_of(value) not in known)
        found = list(islice(values, MAX_VALUES)) or list(islice(node.samples, 1))
        yield from (candidate.with_value(path, [*items, value]) for value in found)

    def _fix_repeated(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        items = candidate.at(path)
        first: dict[str, int] = {}
        for place, item in enumerate(items):
            text = text_of(item)
            if text not in first:
                first[text] = place
                continue
            yield from islice(self._distinct(candidate, (*path, place), {text_of(one) for one in items}), MAX_VALUES)
            yield from self._dropped(candidate, path, place)

    def _distinct(self, candidate: Candidate, path: Path, known: set[str]) -> Candidates:
        """With other values at `path` that aren't among `known`."""
        opening = candidate.opening
        if opening.is_fixed(path):
            return
        if opening.frame_at(path) is not None:
            found = self.changes(candidate, path)
        elif opening.next is Next.VALUE and path == opening.place and opening.begun is not None:
            ends = islice(self._planner.ends(opening, self._node(candidate, path)), MAX_TRIED)
            found = (candidate.with_end(end, value) for end, value in ends)
        else:
            values = islice(self._node(candidate, path).samples, MAX_TRIED)
            found = (candidate.with_value(path, value) for value in values)
        yield from (changed for changed in found if text_of(changed.at(path)) not in known)

    def _fix_contains(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        parent = self._parent(error)
        wanted = parent.get("contains", True) if isinstance(parent, Mapping) else True
        sources = [self._with_item(candidate, path, wanted), self._replaced(candidate, path, wanted)]
        if error.schema_path[-1] == "maxContains":
            # The library says so, too, if no item fits.
            sources += [self._replaced(candidate, path), self._fix_many_items(candidate, path, error)]
        yield from in_turn(sources)

    def _replaced(self, candidate: Candidate, path: Path, *wanted: Any) -> Candidates:
        """With another value of each item that isn't written, the last first."""
        free = range(max(0, candidate.fixed_count(path) - 1), len(candidate.at(path)))
        for place in reversed(free):
            yield from islice(self._other_values(candidate, (*path, place), *wanted), MAX_OTHERS)

    def _fix_few_items(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        changed = candidate
        while len(changed.at(path)) < detail(error, "limit"):
            more = next(self._with_item(changed, path), None)
            if more is None:
                break
            changed = more
        if changed is not candidate:
            yield changed

    def _fix_unevaluated(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """With items that `contains` evaluates; then with fewer."""
        parent = self._parent(error)
        if isinstance(parent, Mapping) and "contains" in parent:
            changed = candidate
            for place in range(max(0, candidate.fixed_count(path) - 1), len(candidate.at(path))):
                changed = next(self._other_values(changed, (*path, place), parent["contains"]), changed)
                yield changed
        yield from self._fix_many_items(candidate, path, error)

    def _fix_many_items(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        items = candidate.at(path)
        for place in reversed(range(len(items))):
            yield from self._dropped(candidate, path, place)

    # Combinations

    def _fix_not(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        yield from self.changes(candidate, path, detail(error, "schema"))

    def _fix_no_branch(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """Mends all errors of one branch together, then each alone."""
        parent = self._parent(error)
        branches = parent.get(error.kind.name, []) if isinstance(parent, Mapping) else []
        ranked = sorted(zip(detail(error, "context"), branches, strict=False), key=lambda one: len(one[0]))
        for errors, _ in ranked:
            changed = self.all_at_once(candidate, errors)
            if changed is not candidate:
                yield changed
        for errors, branch in ranked:
            yield from islice(self._other_values(candidate, path, branch), 3)
            for one in errors:
                yield from islice(self.fixes(candidate, one), 3)

    def _fix_branches(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if all(detail(error, "context")):
            yield from self._fix_no_branch(candidate, path, error)
            return
        parent = self._parent(error)
        branches = parent.get("oneOf", []) if isinstance(parent, Mapping) else []
        fitting = [branch for errors, branch in zip(detail(error, "context"), branches, strict=False) if not errors]
        for branch in fitting:
            yield from self.changes(candidate, path, self._target(branch))
            yield from self._other_values(candidate, path, branch)

    def _other_conditions(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """Changes what the conditions look at under which the error is one, the innermost first."""
        way = list(error.evaluation_path)
        for place in reversed(range(len(way))):
            if way[place] not in CONDITIONAL:
                continue
            outer = path[: len(path) - instance_depth(way[place + 1 :])]
            if exists(candidate, outer):
                about = self._condition(way[: place + 2])
                yield from islice(self.changes(candidate, outer, about), MAX_CONDITIONED)

    def _condition(self, way: list[str | int]) -> Any:
        """What the way ends with: the schema of a condition, or one that says that the key of a dependency is there."""
        if way[-2] in ("then", "else"):
            holder = self._validator.schema_at(way[:-2])
            return holder.get("if") if isinstance(holder, Mapping) else None
        return {"required": [way[-1]]}

    def _target(self, schema: Any) -> Any:
        """What a reference refers to."""
        if isinstance(schema, Mapping):
            return next((one for one in self._planner.nodes.targets(schema) if "$ref" in schema), schema)
        return schema


def detail(error: ValidationError, name: str) -> Any:
    """What the library says of an error, besides its keyword."""
    return getattr(error.kind, name)


def exists(candidate: Candidate, path: Path) -> bool:
    value = candidate.root
    for key in path:
        if not has_entry(value, key):
            return False
        value = value[key]
    return True


def instance_depth(way: list[str | int]) -> int:
    """How many entries deep a way through subschemas leads."""
    depth, is_name = 0, False
    for part in way:
        if is_name:
            is_name = False
        elif part in OF_ENTRIES:
            depth += 1
            is_name = part in BY_NAME
        else:
            is_name = part in DEPENDENCIES
    return depth


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
