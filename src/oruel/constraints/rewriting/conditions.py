"""`if`, `then` and `else` as `anyOf`, where the condition is the value or the presence of one member."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from oruel.constraints.rewriting.disjoint import KINDS, kind_of
from oruel.constraints.rewriting.negations import canonical, listed_values, names_in, negated, together
from oruel.json_schema.keywords import Schema

PARTS = ("if", "then", "else")
# For all members of one object together, since the library multiplies their choices.
MOST_CASES = 16


class Condition(NamedTuple):
    """Whether the member `name` has one of `values`, any if they are None; and what follows. `if_absent`: whether it
    holds without a member.
    """

    name: str
    values: tuple[Any, ...] | None
    if_absent: bool
    then: Any
    otherwise: Any

    def follows(self, value: str | None) -> Any:
        """For the canonical text of a value; None for no member."""
        return self.then if self.holds(value) else self.otherwise

    def holds(self, value: str | None) -> bool:
        if value is None:
            return self.if_absent
        return self.values is None or value in set(map(canonical, self.values))


def without_conditions(schema: Schema, root: Schema) -> Schema:
    """Conditions on the same member, of the schema and of its allOf, become one choice between its values."""
    schema = without_idle_parts(schema)
    # The choice is between objects.
    if schema.get("type") != "object" or evaluates(schema):
        return schema
    left = MOST_CASES
    for name, conditions in by_member(schema).items():
        choice = cases(schema, conditions, name, root)
        if choice is not None and len(choice) <= left:
            left //= len(choice)
            kept = without_conditions_on(schema, name)
            schema = together(kept, {"anyOf": choice}) if "anyOf" in kept else {**kept, "anyOf": choice}
    return schema


def evaluates(schema: Schema) -> bool:
    """Whether it depends on what is evaluated, and so on which conditions hold."""
    return any(key.startswith("unevaluated") for key in schema)


def by_member(schema: Schema) -> dict[str, list[Condition]]:
    found: dict[str, list[Condition]] = {}
    for one in conditions_in(schema):
        found.setdefault(one.name, []).append(one)
    return found


def without_idle_parts(schema: Schema) -> Schema:
    """Without `then` and `else` that no condition precedes, and without conditions that nothing follows."""
    if "if" in schema and ("then" in schema or "else" in schema):
        if not isinstance(schema["if"], bool):
            return schema
        follows = schema.get("then" if schema["if"] else "else", True)
        return together(plain(schema), follows)
    return plain(schema)


def plain(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in PARTS}


def conditions_in(schema: Schema) -> Iterator[Condition]:
    every = schema.get("allOf")
    for one in [schema, *(every if isinstance(every, list) else [])]:
        if condition := condition_of(one):
            yield condition


def condition_of(schema: Any) -> Condition | None:
    """The condition of a schema, which may say more."""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("if"), Mapping) or evaluates(schema):
        return None
    test = schema["if"]
    properties, required = test.get("properties"), names_in(test.get("required", []))
    follows = schema.get("then", True), schema.get("else", True)
    if not test.keys() <= {"properties", "required", "type"} or test.get("type", "object") != "object":
        return None
    if "properties" not in test and len(required) == 1:
        return Condition(required[0], None, False, *follows)
    if not isinstance(properties, Mapping) or len(properties) != 1 or not set(required) <= properties.keys():
        return None
    ((name, described),) = properties.items()
    values = values_of(described)
    if values is None:
        return None
    return Condition(name, tuple(values), not required, *follows)


def values_of(schema: Any) -> list[Any] | None:
    """The values that fit a schema which says nothing but that; None if it says more."""
    if not isinstance(schema, Mapping) or not schema.keys() <= {"const", "enum", "type"}:
        return None
    values = listed_values(schema)
    if values is None or "type" not in schema:
        return values
    kinds = {kind for each in names_in(schema["type"]) for kind in KINDS.get(each, {each})}
    return [value for value in values if kind_of(value) in kinds]


def without_conditions_on(schema: Schema, name: str) -> Schema:
    """The schema without the conditions on the member."""

    def is_on(one: Any) -> bool:
        condition = condition_of(one)
        return condition is not None and condition.name == name

    kept = plain(schema) if is_on(schema) else {**schema}
    every = schema.get("allOf")
    if not isinstance(every, list):
        return kept
    left = [rest for one in every if (rest := plain(one) if is_on(one) else one) != {}]
    without_all = {key: value for key, value in kept.items() if key != "allOf"}
    return {**without_all, "allOf": left} if left else without_all


def cases(schema: Schema, conditions: Sequence[Condition], name: str, root: Schema) -> list[Schema] | None:
    """One schema for each combination of what follows; None if the other values can't be said."""
    mentioned = {canonical(value): value for one in conditions for value in one.values or ()}
    groups: dict[str, tuple[list[Any], list[Any]]] = {}
    for text, value in mentioned.items():
        follows = [one.follows(text) for one in conditions]
        groups.setdefault(canonical(follows), (follows, []))[1].append(value)
    found = [
        case({"properties": {name: {"enum": values}}, "required": [name]}, follows)
        for follows, values in groups.values()
    ]
    described = member(schema, name)
    rest = negated(described, {"enum": [*mentioned.values()]}, root) if mentioned else described
    if rest is None:
        return None
    found.append(case({"properties": {name: rest}, "required": [name]}, [one.follows("") for one in conditions]))
    if name not in names_in(schema.get("required", [])):
        found.append(case({"properties": {name: False}}, [one.follows(None) for one in conditions]))
    return found


def member(schema: Schema, name: str) -> Schema:
    properties = schema.get("properties")
    described = properties.get(name) if isinstance(properties, Mapping) else None
    return described if isinstance(described, Mapping) else {}


def case(restricted: Schema, follows: Iterable[Any]) -> Schema:
    every = [one for one in follows if one is not True and one != {}]
    return {"type": "object", **restricted, **({"allOf": every} if every else {})}
