"""Schemas that no document fits, or only endless ones, and broken ones, are refused with the reason."""

import json
import random
import re
from typing import Any

import pytest

from oruel.api.examiner import Written, examine_schema
from oruel.json_schema.keywords import RESTRICTING, subschemas

Schema = dict[str, Any]


def closed(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def nested(keyword: str, *, is_list: bool = True) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(300):
        schema = {keyword: [schema, {"minLength": 1}] if is_list else schema}
    return schema


MANY = {f"name{number}": {"type": "string"} for number in range(10_000)}
REFUSED: dict[str, tuple[Schema, str]] = {
    "nothing": ({"not": {}}, "not leaves no value"),
    "an empty enum": (closed({"a": {"enum": []}}, required=["a"]), "'a' is unsatisfiable"),
    "an empty type": ({"type": []}, "type"),
    "an empty choice": ({"anyOf": []}, "anyOf"),
    "the same choice twice": ({"oneOf": [{"minLength": 5}, {"minLength": 5, "title": "x"}]}, "oneOf"),
    "two types": ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "types"),
    "a required member that is false": ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "'a'"),
    "a required member that isn't allowed": (closed({}, required=["b"]), "'b'"),
    "lengths": ({"type": "string", "minLength": 5, "maxLength": 3}, "minLength .* maxLength"),
    "bounds": ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum .* maximum"),
    "exclusive bounds": ({"type": "number", "exclusiveMinimum": 5, "maximum": 5}, "exclusiveMinimum .* maximum"),
    "bounds of a required member": (
        closed({"a": {"type": "number", "minimum": 5, "maximum": 3}}, required=["a"]),
        "'a'",
    ),
    "no multiple": ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 6}, "multiple of 7"),
    "counts of items": ({"type": "array", "minItems": 5, "maxItems": 3}, "minItems .* maxItems"),
    "counts of members": ({"type": "object", "minProperties": 5, "maxProperties": 3}, "minProperties > maxProp"),
    "too few members": (closed({"a": {}}, minProperties=2), "minProperties"),
    "more required than allowed": ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "maxProperties"),
    "a pattern for nothing": ({"type": "string", "pattern": r"[^\s\S]"}, "patterns"),
    "patterns against each other": ({"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "^b"}]}, "patterns"),
    "a pattern after its end": ({"type": "string", "pattern": "$a"}, "regex /.a/"),
    "a broken pattern": ({"type": "string", "pattern": "("}, "regex"),
    "itself": ({"$ref": "#"}, "without an end"),
    "itself in itself": (closed({"a": {"$ref": "#"}}, required=["a"]), "without an end"),
    "itself under any name": (
        {"type": "object", "additionalProperties": {"$ref": "#"}, "required": ["a"]},
        "without an end",
    ),
    "itself at least once": (
        {"type": "object", "additionalProperties": {"$ref": "#"}, "minProperties": 1},
        "without an end",
    ),
    "itself as an item": ({"type": "array", "minItems": 1, "items": {"$ref": "#"}}, "without an end"),
    "itself as the first item": ({"type": "array", "minItems": 1, "prefixItems": [{"$ref": "#"}]}, "without an end"),
    "itself as some item": ({"type": "array", "contains": {"$ref": "#"}}, "without an end"),
    "a reference to nothing": ({"$ref": "#/$defs/none"}, r"\$ref #/\$defs/none refers to nothing"),
    "a number beyond all": ({"type": "integer", "minimum": 10**400}, "numbers is too large"),
    "no divisor": ({"type": "integer", "multipleOf": 0}, "multipleOf"),
    "10,000 properties": ({"type": "object", "properties": MANY}, "subschemas"),
    "10,000 required": ({"type": "object", "required": [*MANY]}, "properties"),
    "deep choices": (nested("anyOf"), "nest"),
    "deep conjunctions": (nested("allOf"), "nest"),
    "deep negations": (nested("not", is_list=False), "nest"),
}
BROKEN: list[Schema] = [
    {"type": 5},
    {"type": [{}]},
    {"type": "any"},
    {"enum": 5},
    {"anyOf": {}},
    {"allOf": [5]},
    {"oneOf": [5, 6]},
    {"$ref": 5},
    {"allOf": [{"$ref": {}}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "properties": {"b": {"$ref": "#"}}},
    {"type": "object", "properties": ["a"]},
    {"type": "object", "properties": {"a": 5}},
    {"type": "object", "required": "a"},
    {"type": "object", "patternProperties": []},
    {"type": "string", "minLength": -1},
    {"type": "string", "pattern": 5, "format": "date"},
    {"type": "array", "prefixItems": 5},
    {"oneOf": [{"required": 5}, {"required": [5]}]},
]
LEFT_OUT: list[Schema] = [
    {"not": 5},
    {"not": {"required": [[]]}},
    {"not": {"type": [{}]}},
    {"if": 5, "then": {}},
    {"type": "object", "if": {"properties": 5}, "then": {}},
    {"type": "object", "if": {"properties": {"a": {"const": 1}}, "required": 5}, "then": {}},
    {"type": "object", "dependentRequired": 5},
]
WORDS = sorted(RESTRICTING | {"$defs", "definitions", "$id", "$schema", "id", "title", "x-order"})
SCALARS: list[Any] = [None, True, False, 0, 1, -1, 1.5, "", "a", "string", "object", "array", "date", "^a", "[^a]", "#"]
SCALARS += ["#/$defs/a", "#/properties/a", "#/definitions/0", "#/x-order", "#/items/0"]
SCALARS += ["http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-03/schema#", [], {}, [{}], [[]]]


in_both_places = pytest.mark.parametrize("closes", [True, False], ids=["response_format", "tools"])


@in_both_places
@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_no_document_fits_is_refused_with_the_reason(name: str, closes: bool) -> None:
    schema, reason = REFUSED[name]
    found = examine_schema(Written(json.dumps(schema), closes=closes))
    assert re.search(reason, found.fault or "accepted"), found


@pytest.mark.parametrize("schema", BROKEN, ids=json.dumps)
def test_a_broken_schema_is_refused(schema: Schema) -> None:
    assert examine_schema(Written(json.dumps(schema), closes=True)).fault


@in_both_places
@pytest.mark.parametrize("schema", LEFT_OUT, ids=json.dumps)
def test_a_broken_keyword_that_is_not_enforced_anyway_is_named(schema: Schema, closes: bool) -> None:
    found = examine_schema(Written(json.dumps(schema), closes=closes))
    assert not found.fault
    assert set(found.keywords) <= {keyword for one in subschemas(schema) for keyword in one}
    assert found.keywords


def test_no_schema_makes_the_examination_fail() -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(500):
        schema = {"type": "object"} | random_schema(chance, 5)
        closes = chance.random() < 0.5
        assert isinstance(examine_schema(Written(json.dumps(schema), closes=closes)).fault, str), schema


def random_schema(chance: random.Random, levels: int) -> Schema:
    return {chance.choice(WORDS): random_value(chance, levels - 1) for _ in range(chance.randint(1, 4))}


def random_value(chance: random.Random, levels: int) -> Any:
    """Whatever may stand in a schema, at its place or at another."""
    match chance.randrange(5) if levels > 0 else 0:
        case 0:
            return chance.choice(SCALARS)
        case 1:
            return [random_value(chance, levels - 1) for _ in range(chance.randint(0, 3))]
        case 2:
            return {chance.choice(["a", "b"]): random_value(chance, levels - 1) for _ in range(2)}
        case _:
            return random_schema(chance, levels)
