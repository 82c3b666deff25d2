"""Keywords that the grammar library can't enforce are gone after the rewrite, and the same documents fit. Where they
don't mean what the rewrite needs, they stay.
"""

import json
from itertools import product
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.schema import BYTES, json_grammar, left_out
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import subschemas

Schema = dict[str, Any]

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
ABSENT = object()
MEMBERS = [ABSENT, "x", "y", 1, 2.5, True, None]
OBJECTS = [
    {name: value for name, value in zip("abc", values, strict=True) if value is not ABSENT}
    for values in product(MEMBERS, MEMBERS[:4], MEMBERS[:2])
]
TEXTS = ["", "x", "y", "xy", "xyz", "yx", "x]", "^", "\\"]
VALUES: list[Any] = [None, True, False, *range(-1, 8), 1.0, 2.5, 5.5, *TEXTS, [], [1], ["x"], [1, "x"], ["x", 1, 2], {}]

UNTYPED: Schema = {"properties": {"a": {"enum": ["x", "y", 1]}, "b": {"type": ["boolean", "null"]}}}
OBJECT: Schema = {"type": "object", **UNTYPED}


def tagged(value: Any, **more: Any) -> Schema:
    return {"type": "object", "properties": {"a": {"const": value}, **more}, "required": ["a"]}


def when(name: str, *values: Any, required: bool = True) -> Schema:
    return {"if": {"properties": {name: {"enum": [*values]}}} | ({"required": [name]} if required else {})}


B, NO_B = {"required": ["b"]}, {"properties": {"b": False}}
SAID_OTHERWISE: dict[str, Schema] = {
    "not a type": {"not": {"type": "null"}},
    "not several types": {"not": {"type": ["object", "string"]}},
    "not a number": {"type": ["integer", "string"], "not": {"type": "number"}},
    "not an integer, of strings": {"type": ["string", "number"], "not": {"type": ["integer", "number"]}},
    "no type left": {"type": "string", "not": {"type": "string"}},
    "not an annotation": {"not": {"title": "t", "type": "string"}},
    "not a value beside others": {"enum": ["x", 1, True, None], "not": {"enum": [True, 1.0]}},
    "not a constant beside one": {"const": 1, "not": {"const": 1.0}},
    "not a member's value": {"type": "object", "properties": {"a": {"enum": ["x", 1], "not": {"const": 1}}}},
    "not a boolean": {"type": ["boolean", "null"], "not": {"const": True}},
    "not a string": {"not": {"const": "x"}},
    "not several strings": {"type": "string", "not": {"enum": ["", "xy", "x", "x]", "^", "\\"]}},
    "not a string, by a pattern": {"type": "string", "pattern": "^x", "not": {"const": "xy"}},
    "not a member": {"not": {"required": ["a"]}},
    "not a member of an object": {"type": "object", "not": {"required": ["b"]}},
    "not a member, of no object": {"type": "string", "not": {"required": ["a"]}},
    "not a member of objects": {"not": {"type": "object", "required": ["a"]}},
    "not two members": {"type": "object", "not": {"required": ["a", "b"]}},
    "not either": {"type": "object", "not": {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}},
    "not either type": {"not": {"anyOf": [{"type": "null"}, {"const": "x"}]}},
    "not not": {"not": {"not": {"type": "string"}}},
    "not a definition": {"not": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "string"}}},
    "not nothing": {"type": "string", "not": False},
    "one of types": {"oneOf": [{"type": "string"}, {"type": ["integer", "null"]}, {"type": "object"}]},
    "one of values": {"oneOf": [{"const": 1}, {"enum": [2, "x"]}, {"type": "boolean"}]},
    "one of ranges": {"oneOf": [{"type": "number", "maximum": 2}, {"type": "integer", "exclusiveMinimum": 2}]},
    "one of other ranges": {"oneOf": [{"type": "number", "exclusiveMaximum": 3}, {"type": "number", "minimum": 3}]},
    "one of lengths": {"oneOf": [{"type": "string", "maxLength": 1}, {"type": "string", "minLength": 2}]},
    "one of sizes": {"oneOf": [{"type": "array", "maxItems": 1}, {"type": "array", "minItems": 2}]},
    "one of tags": {"oneOf": [tagged("x", b={"type": "boolean"}), tagged("y"), tagged(1, c=False)]},
    "one of tags by reference": {
        "oneOf": [{"$ref": "#/$defs/x"}, {"allOf": [{"$ref": "#/$defs/y"}, {"required": ["b"]}]}, {"type": "null"}],
        "$defs": {"x": tagged("x"), "y": tagged("y")},
    },
    "one of choices": {"oneOf": [{"anyOf": [{"type": "string"}, {"const": 1}]}, {"type": "object"}]},
    "one with a member that the other forbids": {
        "type": "object",
        "oneOf": [{"required": ["b"]}, {"properties": {"a": True}, "additionalProperties": False}],
    },
    "one of members": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}, {"required": ["c"]}]},
    "one of members of an object": {"type": "object", "oneOf": [{"required": ["a", "b"]}, {"required": ["b", "c"]}]},
    "one of members of which one is always another": {"oneOf": [{"required": ["a"]}, {"required": ["a", "b"]}]},
    "one of one": {"oneOf": [{"type": "string"}]},
    "one of two equal ones": {"oneOf": [{"type": "string"}, {"type": "string"}]},
    "one of, beside any of": {"anyOf": [{"type": "string"}], "oneOf": [{"type": "string"}, {"type": "null"}]},
    "if then": {**OBJECT, **when("a", "x"), "then": B},
    "if then else": {**OBJECT, **when("a", "x", 1), "then": B, "else": NO_B},
    "if else": {**OBJECT, **when("a", "x"), "else": NO_B},
    "if, without a member": {**OBJECT, **when("a", "x", required=False), "then": B},
    "if a boolean": {**OBJECT, **when("b", True), "then": {"required": ["c"]}},
    "if a string": {"type": "object", **when("a", "x"), "then": B, "else": NO_B},
    "if required": {**OBJECT, "required": ["a"], **when("a", "x"), "then": B},
    "if of a type": {
        **OBJECT,
        "if": {"type": "object", "properties": {"a": {"type": "string", "const": 1}}},
        "then": B,
    },
    "ifs on one member": {
        **OBJECT,
        "allOf": [
            {**when("a", "x"), "then": B},
            {**when("a", "y"), "then": NO_B},
            {**when("a", "x", 1), "then": {"required": ["c"]}},
        ],
    },
    "ifs on two members": {
        **OBJECT,
        **when("a", "x"),
        "then": B,
        "allOf": [{**when("b", None), "then": {"required": ["c"]}}],
    },
    "ifs whose consequences look equal": {
        **OBJECT,
        "allOf": [
            {**when("a", "x"), "then": {"properties": {"b": {"const": True}}}},
            {**when("a", "y"), "then": {"properties": {"b": {"const": 1}}}},
        ],
    },
    "if present": {**OBJECT, "if": {"required": ["a"]}, "then": B, "else": {"required": ["c"]}},
    "if present, or of a value": {
        **OBJECT,
        "allOf": [
            {**when("a", "x"), "then": B},
            {"if": {"type": "object", "required": ["a"]}, "then": {"required": ["c"]}},
        ],
    },
    "if true": {"if": True, "then": {"type": "string"}},
    "if false": {"if": False, "then": {"type": "string"}, "else": {"type": "object"}},
    "then without if": {"then": False, "else": False, "type": "string"},
    "if with nothing after it": {"if": {"type": "string"}},
    "items of a list": {
        "$schema": DRAFT_7,
        "type": "array",
        "items": [{"type": "string"}, True],
        "additionalItems": False,
    },
    "items of a list, and others": {"$schema": DRAFT_7, "items": [{"type": "string"}], "additionalItems": {"const": 1}},
    "additional items of none": {"$schema": DRAFT_7, "type": "array", "additionalItems": False},
    "prefixItems before its time": {
        "$schema": DRAFT_7,
        "prefixItems": [{"type": "string"}],
        "items": {"type": "integer"},
    },
    "exclusive bounds": {
        "$schema": DRAFT_4,
        "minimum": 1,
        "exclusiveMinimum": True,
        "maximum": 6,
        "exclusiveMaximum": True,
    },
    "inclusive bounds": {"$schema": DRAFT_4, "minimum": 1, "exclusiveMinimum": False, "exclusiveMaximum": True},
    "a reference alone": {
        "$schema": DRAFT_7,
        "$ref": "#/definitions/n",
        "type": "object",
        "definitions": {"n": {"type": "string"}},
    },
}
PARTS: Schema = {
    "$defs": {"p": {"properties": {"a": {"type": "string"}}, "allOf": [{"patternProperties": {"^b": True}}]}}
}
PART = {"$ref": "#/$defs/p", **PARTS}
SAID_OTHERWISE |= {
    "no other members": {**OBJECT, "unevaluatedProperties": False},
    "no other members than those of parts": {
        **PART,
        "properties": {"c": True},
        "unevaluatedProperties": {"const": "x"},
    },
    "no unevaluated members beside others": {**OBJECT, "additionalProperties": True, "unevaluatedProperties": False},
    "no unevaluated members, all of them in a part": {
        "allOf": [{"properties": {"a": True}, "additionalProperties": {"const": "x"}}],
        "unevaluatedProperties": False,
    },
    "no other items": {"prefixItems": [True], "unevaluatedItems": False},
    "no other items than those of parts": {"allOf": [{"prefixItems": [True, True]}], "unevaluatedItems": {"const": 2}},
    "no unevaluated items": {"type": "array", "items": {"type": "string"}, "unevaluatedItems": False},
    "some item": {"type": "array", "contains": {}},
    "several items": {"contains": True, "minContains": 2, "maxContains": 2},
    "contains nothing": {"type": "array", "contains": {"const": 1}, "minContains": 0},
    "some item, in draft 7": {"$schema": DRAFT_7, "type": "array", "contains": True, "minContains": 0},
    "counts of what isn't contained": {"type": "array", "minContains": 5},
    "no names": {"propertyNames": False},
    "any names": {"type": "object", "propertyNames": True},
    "listed names": {**OBJECT, "propertyNames": {"enum": ["a", "c"]}},
    "listed names of members": {"propertyNames": {"const": "a"}, "additionalProperties": {"type": "integer"}},
    "names of a pattern": {
        "propertyNames": {"pattern": "[ab]"},
        "additionalProperties": {"type": ["string", "boolean"]},
    },
}
UNFITTING = {"no type left", "not a constant beside one", "not a member, of no object", "one of two equal ones"}
STAYING: dict[str, tuple[Schema, set[str]]] = {
    "fractions": ({"type": "number", "not": {"type": "integer"}}, {"not"}),
    "other numbers": ({"type": "integer", "not": {"const": 1}}, {"not"}),
    "what is described": ({"type": "object", "not": {"properties": {"a": {"const": 1}}}}, {"not"}),
    "integers and numbers": ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, {"oneOf"}),
    "ranges that touch": (
        {"oneOf": [{"type": "number", "maximum": 3}, {"type": "number", "minimum": 3}]},
        {"oneOf"},
    ),
    "tags that aren't required": (
        {"oneOf": [{**tagged("x"), "required": ["b"]}, {**tagged("y"), "required": ["b"]}]},
        {"oneOf"},
    ),
    "a condition on a length": ({**OBJECT, "if": {"properties": {"a": {"maxLength": 1}}}, "then": B}, {"if", "then"}),
    "a condition of what may be no object": ({**UNTYPED, **when("a", "x"), "then": B}, {"if", "then"}),
    "members of a choice": (
        {"anyOf": [{"properties": {"a": True}}, {}], "unevaluatedProperties": False},
        {"unevaluatedProperties"},
    ),
    "items that are contained": (
        {"contains": {"const": 1}, "unevaluatedItems": False},
        {"contains", "unevaluatedItems"},
    ),
    "names of a length": ({"propertyNames": {"maxLength": 1}}, {"propertyNames"}),
    "a condition on two members": (
        {**OBJECT, "if": {"required": ["a", "b"]}, "then": {"required": ["c"]}},
        {"if", "then"},
    ),
    "a condition on any number": ({"type": "object", **when("c", 1), "then": B}, {"if", "then"}),
}
REWRITTEN = {"not", "oneOf", "if", "then", "else", "additionalItems", "contains", "minContains", "maxContains"}
REWRITTEN |= {"propertyNames", "unevaluatedProperties", "unevaluatedItems"}


def assert_equivalent(schema: Schema) -> None:
    before, after = validator_for(schema)(schema), Draft202012Validator(rewritten(schema))
    for document in [*VALUES, *OBJECTS]:
        assert after.is_valid(document) == before.is_valid(document), (document, after.schema)


@pytest.mark.parametrize("name", SAID_OTHERWISE)
def test_a_keyword_that_can_be_said_otherwise_is_gone(name: str) -> None:
    schema = SAID_OTHERWISE[name]
    if name not in UNFITTING:
        assert left_out(schema).keywords == ()
    assert not {key for one in subschemas(rewritten(schema)) for key in REWRITTEN & one.keys()}
    assert_equivalent(schema)


@pytest.mark.parametrize("name", sorted(SAID_OTHERWISE.keys() - UNFITTING))
def test_only_documents_that_fit_can_be_written(name: str) -> None:
    schema = SAID_OTHERWISE[name]
    validator, matcher = validator_for(schema)(schema), BYTES.matcher(json_grammar(schema))
    for document in [*VALUES, *OBJECTS]:
        data = list(json.dumps(document).encode())
        writing = matcher.deep_copy()
        is_written = writing.try_consume_tokens(data) == len(data) and writing.is_accepting()
        # Members are written in the schema's order, and integers without a point.
        assert validator.is_valid(document) or not is_written, document


@pytest.mark.parametrize("name", STAYING)
def test_a_keyword_that_says_more_stays(name: str) -> None:
    schema, keywords = STAYING[name]
    assert set(left_out(schema).keywords) == keywords
    assert_equivalent(schema)


def test_a_member_that_says_itself_that_it_is_required_is_required() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "required": True}, "b": {"required": False}}}
    assert rewritten(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {}},
        "required": ["a"],
    }


def test_unique_items_of_few_values_are_few() -> None:
    schema = {"type": "array", "uniqueItems": True, "items": {"enum": ["x", 1, 1.0, True]}}
    assert rewritten(schema)["maxItems"] == 3
    assert_equivalent(schema)
    with pytest.raises(SchemaRefused, match=r"minItems .* maxItems"):
        left_out({"type": "array", "uniqueItems": True, "items": {"type": "boolean"}, "minItems": 3})


def test_conditions_that_would_take_too_many_copies_are_left_out() -> None:
    conditions = [{**when(f"k{number}", "x"), "then": B} for number in range(10)]
    assert left_out({"type": "object", "allOf": conditions}).keywords == ("if", "then")
    large = {f"p{number}": {"type": "string", "format": "uri"} for number in range(300)}
    assert left_out({"type": "object", "properties": large, "allOf": conditions[:2]}).keywords == ("if", "then")
    assert left_out({"type": "object", "properties": large}).keywords == ()
