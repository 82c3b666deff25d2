"""References that stand beside other keywords and lead back to themselves. The library can't merge a schema that it is
still reading, so each merged one becomes a definition, in which references to it stand alone.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from oruel.json_schema.keywords import DEFINITIONS, NAMED, ONE, Schema, subschemas
from oruel.json_schema.references import MOST_SUBSCHEMAS, references_in, resolve_pointer

CHOICES = {"anyOf", "oneOf"}
MOST_MERGED = 64


def without_merged_cycles(schema: Schema) -> dict[str, Any]:
    """An equivalent schema. Each reference has to point to the root or to one of its definitions."""
    cyclic = cyclic_references(schema)
    if not cyclic:
        return dict(schema)
    unmerged = _MergedDefinitions(schema, cyclic)
    return unmerged.schema if unmerged.is_small else dict(schema)


def cyclic_references(schema: Schema) -> set[str]:
    """The references on ways that lead from a cycle of references to a cycle."""
    references = set(references_in(schema))
    targets = {each: references_within(resolve_pointer(schema, each)) & references for each in references}
    sources: dict[str, set[str]] = {each: set() for each in references}
    for source, found in targets.items():
        for target in found:
            sources[target].add(source)
    return leading_to_cycles(targets, sources) & leading_to_cycles(sources, targets)


def leading_to_cycles(targets: Mapping[str, set[str]], sources: Mapping[str, set[str]]) -> set[str]:
    """What is left after each that leads nowhere, or only to such, is taken away."""
    left = {source: len(found) for source, found in targets.items()}
    leading_nowhere = [source for source, count in left.items() if not count]
    for target in leading_nowhere:
        for source in sources[target]:
            left[source] -= 1
            if not left[source]:
                leading_nowhere.append(source)
    return set(left) - set(leading_nowhere)


def references_within(schema: Any) -> set[str]:
    return set(references_in(without_definitions(schema)) if isinstance(schema, Mapping) else ())


def without_definitions(schema: Schema) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in DEFINITIONS}


class _MergedDefinitions:
    """`schema` with new definitions. Its root and its other definitions keep their places."""

    def __init__(self, root: Schema, cyclic: set[str]) -> None:
        self._root = root
        self._cyclic = cyclic
        present = root.get("$defs")
        taken = present if isinstance(present, Mapping) else {}
        self._free = (f"m{number}" for number in count() if f"m{number}" not in taken)
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[str, Schema]] = []
        definitions = {key: self._each(root[key]) for key in sorted(DEFINITIONS & root.keys())}
        kept = self._apart(without_definitions(root))
        merged: dict[str, Any] = {}
        left = MOST_SUBSCHEMAS
        # The list grows as definitions refer to others.
        for name, one in self._waiting:
            merged[name] = self._inlined(one, frozenset())
            left -= sum(1 for _ in subschemas(merged[name]))
            if left < 0 or len(merged) > MOST_MERGED:
                break
        self.is_small = left >= 0 and len(merged) <= MOST_MERGED
        self.schema = {**kept, **definitions, "$defs": {**definitions.get("$defs", {}), **merged}}

    def _each(self, named: Any) -> Any:
        return {name: self._apart(one) for name, one in named.items()} if isinstance(named, Mapping) else {}

    def _apart(self, schema: Any) -> Any:
        """A schema that applies to a value alone."""
        if not isinstance(schema, Mapping):
            return schema
        if schema.keys() in ({"anyOf"}, {"oneOf"}):
            return {key: list(map(self._apart, options)) for key, options in schema.items()}
        if schema.keys() == {"allOf"} and len(schema["allOf"]) == 1:
            return self._apart(schema["allOf"][0])
        if schema.keys() == {"$ref"} or not any(one in self._cyclic for one in applied_references(schema, self._root)):
            return self._with_members(schema)
        written = json.dumps(schema)
        if written not in self._names:
            self._names[written] = next(self._free)
            self._waiting.append((self._names[written], schema))
        return {"$ref": f"#/$defs/{self._names[written]}"}

    def _inlined(self, schema: Any, above: frozenset[str]) -> Any:
        """The schema, with the targets of cyclic references in their places."""
        if not isinstance(schema, Mapping):
            return schema
        reference = schema.get("$ref")
        rest = self._with_members({key: value for key, value in schema.items() if key != "$ref"}, above)
        if reference is None:
            return rest
        if not isinstance(reference, str) or reference not in self._cyclic or reference in above:
            return {"$ref": reference, **rest}
        target = self._inlined(without_definitions(resolve_pointer(self._root, reference)), above | {reference})
        return {"allOf": [target, *rest.pop("allOf", [])], **rest}

    def _with_members(self, schema: Schema, above: frozenset[str] = frozenset()) -> dict[str, Any]:
        return {key: self._member(key, value, above) for key, value in schema.items()}

    def _member(self, key: str, value: Any, above: frozenset[str]) -> Any:
        if key in CHOICES or key == "allOf":
            return [self._inlined(one, above) for one in value] if isinstance(value, list) else value
        if isinstance(value, list):
            return list(map(self._apart, value)) if key == "prefixItems" else value
        if key in NAMED and isinstance(value, Mapping):
            return self._each(value)
        return self._apart(value) if key in ONE else value


def applied_references(schema: Any, root: Schema) -> Iterator[str]:
    """The references that apply to the same value as the schema."""
    waiting, seen = [schema], set[str]()
    for one in waiting:
        if not isinstance(one, Mapping):
            continue
        reference = one.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            yield reference
            waiting.append(resolve_pointer(root, reference))
        waiting += [each for key in (*CHOICES, "allOf") if isinstance(one.get(key), list) for each in one[key]]
