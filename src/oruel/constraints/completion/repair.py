"""Changes of a candidate that may mend an error of its document."""

from collections.abc import Callable, Hashable, Mapping
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError

from oruel.constraints.completion.candidate import Candidate
from oruel.constraints.completion.changes import (
    MAX_KEYS,
    MAX_OTHERS,
    MAX_VALUES,
    Candidates,
    Changes,
    exists,
)
from oruel.constraints.completion.lists import filled, identity
from oruel.constraints.completion.node import is_same
from oruel.constraints.completion.objects import optional_keys
from oruel.constraints.completion.opening import Path
from oruel.constraints.completion.planner import Planner, has_entry
from oruel.constraints.completion.turns import in_turn
from oruel.constraints.completion.validator import Validator
from oruel.json_schema.keywords import NAMED

# How many changes are tried before those outside of the value that an error is about.
MAX_LIKELY = 6
# Keywords that have their values by name.
HOLDERS = {*NAMED, "dependentRequired"}
# How many changes of what a condition looks at are tried, and how many items are added before one that is asked for.
MAX_CONDITIONED, MAX_BEFORE = 16, 4
DEPENDENCIES = {"dependentSchemas", "dependencies"}
CONDITIONAL = {"then", "else"} | DEPENDENCIES
# Keywords whose schemas apply to entries of a value; those of BY_NAME are followed by a name or a number.
BY_NAME = {"properties", "patternProperties", "prefixItems"}
OF_ENTRIES = BY_NAME | {"additionalProperties", "unevaluatedProperties", "items", "additionalItems", "unevaluatedItems"}

Fix = Callable[[Candidate, Path, ValidationError], Candidates]


class Repair:
    def __init__(self, planner: Planner, validator: Validator) -> None:
        self._planner = planner
        self.change = Changes(planner)
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
        path = path_in(candidate.root, error)
        likely = self._likely(candidate, path, error)
        yield from islice(likely, MAX_LIKELY)
        yield from in_turn([likely, self._outside(candidate, path)])

    def _likely(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if exists(candidate, path):
            fix = self._fix_for(error.kind.name, candidate.at(path))
            if fix is not None:
                yield from fix(candidate, path, error)
            yield from self.change.toward(candidate, path, self._parent(error))
        yield from self._other_conditions(candidate, path, error)

    def _outside(self, candidate: Candidate, path: Path) -> Candidates:
        """An outer container may do without the entry, or take another form."""
        for depth in reversed(range(len(path))):
            if exists(candidate, path[: depth + 1]):
                yield from self.change.dropped(candidate, path[:depth], path[depth])
            if exists(candidate, path[:depth]):
                yield from islice(self.change.any_at(candidate, path[:depth]), MAX_VALUES)

    def _fix_for(self, keyword: str, value: Any) -> Fix | None:
        if isinstance(value, dict) and keyword in self._of_objects:
            return self._of_objects[keyword]
        if isinstance(value, list) and keyword in self._of_arrays:
            return self._of_arrays[keyword]
        return self._of_all.get(keyword)

    def _parent(self, error: ValidationError) -> Any:
        """The schema whose keyword has failed."""
        path = list(error.schema_path)
        found = self._validator.schema_at(path[:-1])
        # What a keyword has by name is no schema itself.
        is_by_name = len(path) > 1 and path[-2] in HOLDERS
        if is_by_name and isinstance(found, Mapping) and path[-1] not in found and "" in found:
            return found[""]
        if error.kind.name == "falseSchema" or is_by_name or not isinstance(found, Mapping):
            return True
        return found

    def _fix_required(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if candidate.opening.is_fixed(path):
            return
        key = detail(error, "property")
        yield from self.change.with_key(candidate, path, key, self._parent(error))
        for keyword in ("dependentRequired", "dependencies"):
            if keyword in error.schema_path:
                for known in list(candidate.at(path)):
                    yield from self.change.without_key(candidate, path, known)

    def _fix_few_keys(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if candidate.opening.is_fixed(path):
            return
        variant = self.change.variant(candidate, path)
        missing = detail(error, "limit") - len(candidate.at(path))
        found = list(islice(optional_keys(variant, candidate.head(path), candidate.at(path)), missing + MAX_KEYS))
        for first in range(max(1, len(found) - missing + 1)):
            changed = candidate
            for key in found[first : first + missing]:
                changed = next(self.change.with_key(changed, path, key), changed)
            yield changed

    def _fix_many_keys(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        required = self.change.variant(candidate, path).required
        for key in reversed(list(candidate.at(path))):
            if key not in required:
                yield from self.change.without_key(candidate, path, key)

    def _fix_unexpected(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        changed = candidate
        for key in detail(error, "unexpected"):
            if key in changed.at(path):
                changed = next(self.change.without_key(changed, path, key), changed)
        if changed is not candidate:
            yield changed
        parent = self._parent(error)
        if not isinstance(parent, Mapping):
            return
        for key in detail(error, "unexpected"):
            yield from self.change.values(candidate, (*path, key), parent.get("unevaluatedProperties", True))

    def _fix_names(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        name = detail(error, "error").instance
        if name in candidate.at(path):
            for changed in self.change.without_key(candidate, path, name):
                variant = self.change.variant(changed, path)
                for key in islice(optional_keys(variant, changed.head(path), changed.at(path)), MAX_KEYS):
                    if key != name:
                        yield from islice(self.change.with_key(changed, path, key), 1)
                yield changed

    def _fix_false(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """Drops the entry, or what follows it as well if it is an item."""
        if path:
            yield from self.change.dropped(candidate, path[:-1], path[-1])

    def _fix_repeated(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        items = candidate.at(path)
        first: dict[Hashable, int] = {}
        for place, item in enumerate(items):
            key = identity(item)
            if key not in first:
                first[key] = place
                continue
            yield from islice(
                self.change.distinct(candidate, (*path, place), {identity(one) for one in items}), MAX_VALUES
            )
            yield from self.change.dropped(candidate, path, place)

    def _fix_contains(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        parent = self._parent(error)
        wanted = parent.get("contains", True) if isinstance(parent, Mapping) else True
        sources = [self._more(candidate, path, wanted), self.change.replaced(candidate, path, wanted)]
        if error.schema_path[-1] == "maxContains":
            # The library says so, too, if no item fits.
            sources += [self.change.replaced(candidate, path), self._fix_many_items(candidate, path, error)]
        yield from in_turn(sources)

    def _more(self, candidate: Candidate, path: Path, wanted: Any) -> Candidates:
        """With an item that fits `wanted`; if need be, with others before it."""
        longer: Candidate | None = candidate
        for _ in range(MAX_BEFORE):
            if longer is not None:
                yield from self.change.with_item(longer, path, wanted)
                longer = next(self.change.with_item(longer, path), None)

    def _fix_few_items(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        if candidate.opening.is_fixed(path):
            return
        items = filled(self.change.variant(candidate, path), candidate.at(path), detail(error, "limit"))
        if items is not None:
            yield candidate.with_value(path, items)

    def _fix_unevaluated(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """With items that `contains` evaluates; then with fewer."""
        parent = self._parent(error)
        if isinstance(parent, Mapping) and "contains" in parent:
            changed = candidate
            for place in range(max(0, candidate.fixed_count(path) - 1), len(candidate.at(path))):
                changed = next(self.change.toward(changed, (*path, place), parent["contains"]), changed)
                yield changed
        yield from self._fix_many_items(candidate, path, error)

    def _fix_many_items(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        items = candidate.at(path)
        for place in reversed(range(len(items))):
            yield from self.change.dropped(candidate, path, place)

    def _fix_not(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        yield from self.change.any_at(candidate, path, self._validator.schema_at(list(error.schema_path)))

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
            yield from islice(self.change.toward(candidate, path, branch), MAX_OTHERS)
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
            yield from self.change.any_at(candidate, path, self._target(branch))
            yield from self.change.values(candidate, path, branch)

    def _other_conditions(self, candidate: Candidate, path: Path, error: ValidationError) -> Candidates:
        """Changes what the conditions look at under which the error is one, the innermost first."""
        way = list(error.evaluation_path)
        for place in reversed(range(len(way))):
            if way[place] not in CONDITIONAL:
                continue
            outer = path[: len(path) - instance_depth(way[place + 1 :])]
            if exists(candidate, outer):
                about = self._condition(way, place)
                if way[place] == "else" and about is not None:
                    yield from islice(self.change.toward(candidate, outer, about), MAX_OTHERS)
                yield from islice(self.change.any_at(candidate, outer, about), MAX_CONDITIONED)

    def _condition(self, way: list[str | int], place: int) -> Any:
        """The schema of a condition, or one that says that the key of a dependency is there; None if it isn't known."""
        if way[place] in ("then", "else"):
            holder = self._validator.schema_at(way[:place])
            return holder.get("if") if isinstance(holder, Mapping) else None
        return {"required": [str(way[place + 1])]} if place + 1 < len(way) else None

    def _target(self, schema: Any) -> Any:
        """What a reference refers to."""
        if isinstance(schema, Mapping):
            return next((one for one in self._planner.nodes.targets(schema) if "$ref" in schema), schema)
        return schema


def path_in(root: Any, error: ValidationError) -> Path:
    """Where the error is. In the library's path, names that are digits are numbers, and empty names are left out."""
    found: list[str | int] = []
    value = root
    for part in error.instance_path:
        while isinstance(value, dict) and str(part) not in value and "" in value:
            found.append("")
            value = value[""]
        found.append(str(part) if isinstance(value, dict) else part)
        value = value[found[-1]] if has_entry(value, found[-1]) else None
    while isinstance(value, dict) and "" in value and not is_same(value, error.instance):
        found.append("")
        value = value[""]
    return tuple(found)


def detail(error: ValidationError, name: str) -> Any:
    """What the library says of an error, besides its keyword."""
    return getattr(error.kind, name)


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
