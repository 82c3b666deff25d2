"""Keywords that no grammar holds are held: every document is valid by another validator and ends within its budget."""

import json
import random
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from oruel.constraints.closing.checked_search import SEARCH_WORK
from oruel.constraints.closing.first_end import left_out_of_document
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.refusals import MAX_REFUSED
from oruel.constraints.spec import schema_spec
from oruel.sampling.constraint import REFUSED, UNDECIDED, WorkBudget
from tests.constraints.choosing import next_token
from tests.constraints.test_grammar import TOKENS
from tests.constraints.test_json_object import CHOOSERS

SEED = 20261128
LETTERS = {"enum": ["a", "b", "c"]}
NUMBERS = {name: {"type": "integer"} for name in "abc"}
HELD: dict[str, dict[str, Any]] = {
    "uniqueItems of few values": {"type": "array", "items": LETTERS, "uniqueItems": True, "minItems": 2},
    "uniqueItems of strings": {
        "type": "object",
        "properties": {
            "t": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 3},
            "z": {"type": "integer"},
        },
        "required": ["t", "z"],
    },
    "oneOf of branches that overlap": {
        "oneOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    "not": {
        "type": "object",
        "properties": {"a": {"type": "string", "not": {"enum": ["", "a", "b"]}}},
        "required": ["a"],
        "not": {"required": ["b"]},
    },
    "if, then, else": {
        "type": "object",
        "properties": {"k": {"type": "integer"}, "v": {"type": "string"}, "w": {"type": "integer"}},
        "required": ["k"],
        "additionalProperties": False,
        "if": {"properties": {"k": {"minimum": 5}}},
        "then": {"required": ["v"]},
        "else": {"required": ["w"]},
    },
    "dependentRequired": {"type": "object", "properties": NUMBERS, "dependentRequired": {"a": ["c"], "b": ["c"]}},
    "dependentSchemas": {
        "type": "object",
        "properties": NUMBERS,
        "dependentSchemas": {"a": {"properties": {"b": {"minimum": 7}}, "required": ["b"]}},
    },
    "dependencies": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": NUMBERS,
        "dependencies": {"a": ["b"], "b": {"required": ["c"]}},
    },
    "minProperties of named keys": {
        "type": "object",
        "properties": NUMBERS,
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": False,
    },
    "minProperties of free keys": {"type": "object", "minProperties": 2, "maxProperties": 3},
    "lookaheads": {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^(?!foo)(?=.*[0-9])[a-z0-9]+$"}},
        "required": ["a"],
    },
    "contains": {"type": "array", "contains": {"type": "integer", "minimum": 5}, "minContains": 2, "maxContains": 3},
    "propertyNames": {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}, "minProperties": 1},
    "patternProperties that overlap, which the library refuses": {
        "type": "object",
        "patternProperties": {"^[a-z]+$": {"type": "integer"}, "a": {"minimum": 5}},
        "minProperties": 1,
    },
    "control characters beside free keys, which the library refuses": {
        "type": "object",
        "properties": {"a": {"const": "\u0006"}, "b": {"type": "integer"}},
        "required": ["b"],
    },
    "a control character that is required beside free keys": {
        "type": "object",
        "properties": {"a": {"const": "\u0006"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
    "a required key after a named one, and a control character": {
        "type": "object",
        "properties": {"a": {"const": "\u0006"}, "b": {"type": "integer"}},
        "required": ["x", "b"],
    },
    "a control character in an object from a list": {
        "type": "object",
        "enum": [{"a": None, "b": "\u001c"}],
        "properties": {"a": {"type": "null"}, "c": {}},
    },
    "a format where the library refuses the patterns": {
        "type": "object",
        "properties": {"a": {"format": "date"}},
        "patternProperties": {"^[a-z]+$": {"type": "string"}, "b": {"maxLength": 4}},
        "required": ["a"],
    },
    "an object from a list, in the order of the grammar": {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"y": {}, "x": {}}, "required": ["x"]}, "b": {}},
        "required": ["a"],
        "dependentSchemas": {"a": {"properties": {"a": {"enum": [{"x": 1, "y": 2}]}}}},
    },
    "a circular reference, which the library refuses, and a choice with an order of its own": {
        "type": "object",
        "anyOf": [
            {
                "type": "object",
                "properties": {"items": {"type": "integer"}, "a": {"type": "null"}, "tags": {"$ref": "#"}},
                "required": ["items", "a"],
                "additionalProperties": False,
            },
            {"type": "boolean"},
        ],
        "properties": {"a": {}, "tags": {"$ref": "#"}},
        "required": ["a"],
    },
    "a member that no string fits, which the library refuses, and another one": {
        "type": "object",
        "properties": {"a": {"type": "string", "format": "uri", "pattern": "^git@x$"}, "b": {"type": "integer"}},
        "required": ["b"],
    },
    "at least one of many members, too heavy for the grammar": {
        "type": "object",
        "properties": {f"p{number}": {"type": "integer"} for number in range(90)},
        "minProperties": 1,
    },
    "a whole number with a fraction": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "if": {"not": {"properties": {"a": {"enum": [3.0]}}}},
        "then": {"type": "string"},
    },
    "a control character in one of several values": {
        "type": "object",
        "properties": {"a": {"enum": ["x\u001ey", 1]}},
        "required": ["a"],
    },
    "unevaluatedProperties": {
        "type": "object",
        "allOf": [{"properties": {"a": {"type": "integer"}}}],
        "unevaluatedProperties": False,
    },
}


@pytest.mark.parametrize("name", HELD)
def test_a_keyword_is_held_however_tokens_are_chosen(name: str) -> None:
    schema = HELD[name]
    kind = Draft7Validator if "$schema" in schema else Draft202012Validator
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    assert left_out_of_document(schema) == ((), ())
    spec = schema_spec(schema)
    for chooser in CHOOSERS:
        chance = random.Random(f"{SEED} {name} {chooser}")
        budget = chance.randint(30, 80)
        text = write(GrammarConstraint(TOKENS, spec, budget), chooser, chance, budget)
        assert validator.is_valid(json.loads(text)), f"seed {SEED}: {text!r}"


def write(constraint: GrammarConstraint, chooser: str, chance: random.Random, budget: int) -> bytes:
    assert constraint.can_close
    written: list[int] = []
    while not constraint.is_complete:
        token = next_token(constraint, TOKENS, lambda allowed: CHOOSERS[chooser](chance, allowed, TOKENS.pieces))
        if token in TOKENS.ends:
            break
        constraint.accept(token)
        written.append(token)
    assert len(written) <= budget
    return b"".join(TOKENS.pieces[token] for token in written)


def test_a_token_after_which_nothing_is_valid_is_refused_and_then_masked() -> None:
    constraint = after(HELD["uniqueItems of few values"], b'["a", "')
    assert allowed(constraint) == set(b"abc")
    assert constraint.enforce_limits(ord("a")) == REFUSED
    assert allowed(constraint) == set(b"bc")
    assert constraint.enforce_limits(ord("b")) == ord("b")


def test_a_token_that_is_refused_twice_gives_way_to_one_that_is_valid() -> None:
    constraint = after(HELD["uniqueItems of few values"], b'["a", "')
    assert constraint.enforce_limits(ord("a")) == REFUSED
    assert constraint.enforce_limits(ord("a")) in b"bc"


def test_refusals_end_with_the_known_completion() -> None:
    letters = "abcdefghijklmnopqrstu"
    schema = {"type": "array", "items": {"enum": list(letters)}, "uniqueItems": True, "minItems": len(letters)}
    written = json.dumps(list(letters[:-1]))[:-1] + ', "'
    constraint = after(schema, written.encode())
    results = [constraint.enforce_limits(ord(letter)) for letter in letters[: MAX_REFUSED + 1]]
    assert results == [REFUSED] * MAX_REFUSED + [ord("u")]


def test_a_document_can_not_end_before_it_is_valid() -> None:
    constraint = after({"type": "integer", "not": {"multipleOf": 3}}, b"12")
    assert constraint.enforce_limits(min(TOKENS.ends)) == REFUSED
    constraint.accept(constraint.enforce_limits(ord("5")))
    assert constraint.enforce_limits(min(TOKENS.ends)) in TOKENS.ends


def test_a_check_takes_no_more_work_than_a_step_has() -> None:
    constraint, waits = after(HELD["uniqueItems of strings"], b'{"t": ["a", "b", "'), 0
    work = WorkBudget(5)
    while (result := constraint.enforce_limits(ord("a"), work)) == UNDECIDED:
        assert -SEARCH_WORK <= work.left <= 0
        waits, work = waits + 1, WorkBudget(5)
    assert result in (ord("a"), REFUSED)
    assert waits > 0


def after(schema: dict[str, Any], text: bytes) -> GrammarConstraint:
    constraint = GrammarConstraint(TOKENS, schema_spec(schema), 200)
    for byte in text:
        assert constraint.enforce_limits(byte) == byte
        constraint.accept(byte)
    return constraint


def allowed(constraint: GrammarConstraint) -> set[int]:
    mask = constraint.mask()
    return {byte for byte in range(128) if mask[byte >> 3] >> (byte & 7) & 1}


def test_what_a_reference_in_draft_7_leaves_out_is_not_named() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [{"$ref": "#/definitions/a", "minProperties": 2}],
        "definitions": {"a": {"type": "object"}},
    }
    assert left_out_of_document(schema) == ((), ())


def test_a_format_where_only_the_check_looks_is_held() -> None:
    schema = {"type": "array", "contains": {"type": "string", "format": "date"}, "minContains": 2}
    assert left_out_of_document(schema) == ((), ())
    for chooser in ("anything", "the longest token", "digits"):
        chance = random.Random(f"{SEED} {chooser}")
        items = json.loads(write(GrammarConstraint(TOKENS, schema_spec(schema), 80), chooser, chance, 80))
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        assert validator.is_valid(items), items
