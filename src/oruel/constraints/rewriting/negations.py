"""`not` as the keywords that say the same of what is allowed."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from oruel.json_schema.keywords import Schema, restricting
from oruel.json_schema.references import resolve_pointer

NOTHING: Schema = {"enum": []}
TYPES = ("null", "boolean", "object", "array", "number", "string")
MOST_REQUIRED = 4
# Excluded strings become a pattern.
MOST_CHARACTERS = 256
ANYTHING = r"[\s\S]"


def without_negation(schema: Schema, root: Schema) -> Schema:
    """The schema without `not`, if there are other keywords for it."""
    if "not" not in schema:
        return schema
    kept = {key: value for key, value in schema.items() if key != "not"}
    excluded = negated(kept, schema["not"], root)
    return schema if excluded is None else excluded


def negated(schema: Schema, excluded: Any, root: Schema) -> Schema | None:
    """`schema` without what fits `excluded`; None if that can't be said."""
    excluded = restricting(excluded)
    if isinstance(excluded, Mapping) and excluded.keys() == {"$ref"}:
        excluded = restricting(resolve_pointer(root, excluded["$ref"]))
    if excluded is False:
        return schema
    if excluded is True or excluded == {}:
        return NOTHING
    return without_what_fits(schema, excluded, root) if isinstance(excluded, Mapping) else None


def without_what_fits(schema: Schema, excluded: Schema, root: Schema) -> Schema | None:
    match sorted(excluded.items()):
        case [("anyOf", [*options])]:
            return without_each(schema, options, root)
        case [("not", allowed)]:
            return together(schema, allowed)
        case [("const", value)]:
            return without_values(schema, [value])
        case [("enum", [*values])]:
            return without_values(schema, values)
        case [("type", named)]:
            return without_types(schema, named)
        case [("required", names)]:
            return without_members(typed(schema, "object"), names)
        case [("required", names), ("type", "object")]:
            return without_members(schema, names)
    return None


def without_each(schema: Schema, options: Iterable[Any], root: Schema) -> Schema | None:
    for option in options:
        found = negated(schema, option, root)
        if found is None:
            return None
        schema = found
    return schema


def together(schema: Schema, other: Any) -> Schema:
    """What fits both."""
    every = schema.get("allOf")
    return {**schema, "allOf": [*(every if isinstance(every, list) else []), other]}


def without_values(schema: Schema, values: Sequence[Any]) -> Schema | None:
    allowed = listed_values(schema)
    if allowed is not None:
        excluded = set(map(canonical, values))
        kept = {key: value for key, value in schema.items() if key not in ("const", "enum")}
        return {**kept, "enum": [value for value in allowed if canonical(value) not in excluded]}
    if not all(isinstance(value, str) for value in values) or sum(map(len, values)) > MOST_CHARACTERS:
        return None
    pattern = {"pattern": f"^(?:{other_strings(values)})$"}
    return {**schema, **pattern} if "pattern" not in schema else together(schema, pattern)


def listed_values(schema: Schema) -> list[Any] | None:
    """The values that `enum`, `const` and `type` leave; None if they aren't finitely many."""
    if "const" in schema:
        # Both may be there; the other one stays.
        return None if "enum" in schema else [schema["const"]]
    if isinstance(schema.get("enum"), list):
        return list(schema["enum"])
    kinds = names_in(schema.get("type"))
    if not kinds or not set(kinds) <= {"boolean", "null"}:
        return None
    return [value for kind in kinds for value in ([None] if kind == "null" else [False, True])]


def canonical(value: Any) -> str:
    """The same text for values that are equal in JSON Schema, where 1.0 is 1."""
    return json.dumps(with_plain_numbers(value), sort_keys=True)


def with_plain_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [with_plain_numbers(one) for one in value]
    if isinstance(value, Mapping):
        return {key: with_plain_numbers(one) for key, one in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def other_strings(excluded: Iterable[str]) -> str:
    """A pattern of all strings but these: those that leave their tree at some character, or end early in it."""
    words = set(excluded)
    return "|".join(departures(words))


def departures(words: set[str]) -> Iterator[str]:
    beginnings = {word[:end] for word in words for end in range(len(word) + 1)}
    for beginning in sorted(beginnings):
        following = {each[-1] for each in beginnings if len(each) == len(beginning) + 1 and each.startswith(beginning)}
        outside = f"[^{''.join(map(escaped, sorted(following)))}]" if following else ANYTHING
        if beginning not in words:
            yield re.escape(beginning)
        yield f"{re.escape(beginning)}{outside}{ANYTHING}*"


def escaped(character: str) -> str:
    return "\\" + character if character in r"\]^-[&~" else character


def without_types(schema: Schema, named: Any) -> Schema | None:
    excluded, present = names_in(named), names_in(schema.get("type", TYPES))
    if not excluded or not present:
        return None
    if "integer" in excluded and "number" not in excluded:
        # The others are fractions, which no type names.
        return None
    gone = {*excluded, "integer"} if "number" in excluded else set(excluded)
    return {**schema, "type": [one for one in present if one not in gone]}


def names_in(value: Any) -> list[str]:
    """One name or several; none for anything else."""
    listed = [value] if isinstance(value, str) else value
    return list(listed) if isinstance(listed, (list, tuple)) and all(isinstance(one, str) for one in listed) else []


def typed(schema: Schema, kind: str) -> Schema:
    """The schema for values of that type only."""
    return {**schema, "type": kind} if kind in names_in(schema.get("type", kind)) else NOTHING


def without_members(schema: Schema, names: Any) -> Schema | None:
    """Without objects that have all of these members."""
    names = names_in(names)
    if not 0 < len(names) <= MOST_REQUIRED:
        return None
    forbidden: list[Any] = [{"properties": {name: False}} for name in names]
    if len(names) > 1:
        return together(schema, {"anyOf": forbidden})
    properties = schema.get("properties")
    return {**schema, "properties": {**(properties if isinstance(properties, Mapping) else {}), names[0]: False}}
