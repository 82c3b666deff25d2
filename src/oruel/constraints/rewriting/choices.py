"""`oneOf` as `anyOf`, where at most one option can fit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from oruel.constraints.rewriting.disjoint import Disjointness
from oruel.constraints.rewriting.negations import NOTHING, canonical, together
from oruel.json_schema.keywords import Schema

MOST_OPTIONS = 64
MOST_EXCLUSIVE = 8


def with_any_of(schema: Schema, disjointness: Disjointness) -> Schema:
    options = schema.get("oneOf")
    if not isinstance(options, list) or not 0 < len(options) <= MOST_OPTIONS:
        return schema
    kept = {key: value for key, value in schema.items() if key != "oneOf"}
    if len(options) > 1 and all(times > 1 for times in Counter(map(canonical, options)).values()):
        # Whatever fits one fits another.
        return NOTHING
    if all(disjointness.proves(one, other, beside=kept) for one, other in combinations(options, 2)):
        return with_choice(schema, options)
    return one_of_members(schema, options) or schema


def with_choice(schema: Schema, options: Sequence[Any]) -> Schema:
    """With a choice between the options in place of `oneOf`: the order of keywords is that of an object's members."""
    if len(options) > 1 and "anyOf" not in schema:
        return dict(("anyOf", options) if key == "oneOf" else (key, value) for key, value in schema.items())
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    return together(rest, options[0] if len(options) == 1 else {"anyOf": options})


def one_of_members(schema: Schema, options: Sequence[Any]) -> Schema | None:
    """For options that only require members: each without what the others require. None if it can't be said so."""
    sets = [required_only(option) for option in options]
    if len(options) > MOST_EXCLUSIVE or not all(sets):
        return None
    exclusive: list[Schema] = []
    for one in sets:
        # An object with all of another option's members fits that one too.
        others = [other - one for other in sets if other is not one]
        if all(others):
            if any(len(other) > 1 for other in others):
                return None
            forbidden = sorted(name for other in others for name in other)
            exclusive.append({"type": "object", "required": sorted(one), "properties": dict.fromkeys(forbidden, False)})
    # All options fit what isn't an object.
    return with_choice(schema, exclusive) if exclusive else None


def required_only(option: Any) -> frozenset[str]:
    """The names that the schema requires; empty if it says anything else."""
    if not isinstance(option, Mapping) or not isinstance(option.get("required"), list):
        return frozenset()
    is_plain = option.keys() <= {"required", "type"} and option.get("type", "object") == "object"
    names = [name for name in option["required"] if isinstance(name, str)]
    return frozenset(names) if is_plain and len(names) == len(option["required"]) else frozenset()
