"""The cost of a schema is bounded by the work of compiling it, not by its size."""

import json
import time
from typing import Any

import pytest

from oruel.constraints.closing.first_end import unclosable_keywords
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.schema import BYTES, unenforceable_keywords
from oruel.constraints.spec import schema_spec
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import MAX_WORK

# No test here takes more than some tenths of a second; this limit only detects a hang.
MAX_CPU_SECONDS = 2.0


def closed_object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    required = more.pop("required", list(properties))
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def copies(count: int, one: dict[str, Any]) -> dict[str, Any]:
    return {f"p{number}": one for number in range(count)}


def chain(length: int, **more: Any) -> dict[str, Any]:
    """Each definition holds a reference to the next."""
    nodes = {f"n{number}": closed_object({"a": {"$ref": f"#/$defs/n{number + 1}"}}, **more) for number in range(length)}
    return {"$defs": {**nodes, f"n{length}": {"type": "null"}}, "$ref": "#/$defs/n0"}


ACCEPTED = {
    "a long constant": closed_object({"a": {"const": "x" * 20_000}}),
    "a long constant of other letters": closed_object({"a": {"const": "\u00e9\u6f22" * 10_000}}),
    "an optional long constant": closed_object({"a": {"const": "x" * 20_000}}, required=[]),
    "a long string": closed_object({"a": {"type": "string", "minLength": 10**6}}),
    "many items": {"type": "array", "minItems": 10**6},
    "many short values": {"enum": [f"v{number}" for number in range(20_000)]},
    "a long name": closed_object({"n" * 20_000: {"type": "integer"}}),
}
REFUSED = {
    "a text of 200,000 characters": (closed_object({"a": {"const": "x" * 200_000}}), "const"),
    "an optional text of 200,000 characters": (closed_object({"a": {"const": "x" * 200_000}}, required=[]), "const"),
    "a choice of long texts": ({"enum": ["x" * 100_000, "y" * 100_000]}, "enum"),
    "a long pattern": ({"type": "string", "pattern": "^" + "(a|b)" * 20_000 + "$"}, "pattern"),
    "a long name": (closed_object({"n" * 100_000: {"type": "integer"}}), "properties"),
    "optional properties": (
        closed_object(copies(3_000, {"type": "integer"}), required=[]),
        "3,000 optional properties",
    ),
    "required names": ({"type": "object", "required": list(copies(20_000, {}))}, "properties"),
    "values that are objects": ({"enum": [{"a": number, "b": [number]} for number in range(9_000)]}, "enum"),
    "a value of many members": ({"const": {f"k{number}": number for number in range(15_000)}}, "const"),
    "patterns on one string": (
        {"type": "string", "allOf": [{"pattern": f"a{{{number}}}.*b"} for number in range(3, 30)]},
        "27 patterns",
    ),
    "patterns for keys": (
        {"type": "object", "patternProperties": {f"^p{number}x": {} for number in range(2_000)}},
        "patternProperties",
    ),
    "a pattern that repeats repetitions": ({"type": "string", "pattern": "^(a{9999}){9999}$"}, "pattern"),
    "references in a chain": (chain(1_600), "levels deep"),
    "long references in a chain": (
        {
            "$defs": {f"n{k}": {"items": {"items": {"items": {"$ref": f"#/$defs/n{k + 1}"}}}} for k in range(1_000)},
            "$ref": "#/$defs/n0",
        },
        "levels deep",
    ),
    "merged references": (
        {
            "$defs": {
                f"n{k}": {"allOf": [{"$ref": f"#/$defs/n{k + 1}"}, {"$ref": f"#/$defs/n{k + 1}"}]} for k in range(30)
            }
            | {"n30": closed_object(copies(3, {"type": "integer"}))},
            "$ref": "#/$defs/n0",
        },
        "too much work",
    ),
    "combinations": (
        {
            "allOf": [
                {"anyOf": [{"properties": {f"p{group}{one}": {"type": "integer"}}} for one in range(6)]}
                for group in range(7)
            ]
        },
        "combinations",
    ),
    "ranges of large numbers": (
        closed_object(
            {f"p{k}": {"type": "integer", "minimum": -(10**10) + k, "maximum": 10**14 + k} for k in range(1_500)}
        ),
        "minimum and maximum",
    ),
    "a large divisor": ({"type": "integer", "multipleOf": 1234567}, "multipleOf"),
    "formats": (closed_object(copies(1_500, {"type": "string", "format": "date-time"})), "format"),
}
ORDINARY = {
    "sections of many fields": closed_object(
        copies(
            20,
            closed_object(
                {
                    "text": {"type": "string", "maxLength": 400},
                    "count": {"type": "integer", "minimum": 0, "maximum": 1000},
                    "share": {"type": "number"},
                    "flag": {"type": "boolean"},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 20},
                    "at": {"type": "string", "format": "date-time"},
                    "kind": {"enum": ["a", "b", "c"]},
                    "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                }
            ),
        )
    ),
    "400 optional properties": closed_object(copies(400, {"type": "string"}), required=[]),
    "800 required properties": closed_object(copies(800, {"type": "string"})),
    "a choice of 1,000": closed_object({"a": {"enum": [f"value number {number}" for number in range(1_000)]}}),
    "a constant of 20,000 characters": closed_object({"a": {"const": "lorem ipsum " * 1_700}}),
    "alternatives": {"anyOf": [closed_object({f"k{number}": {"type": "string"}}) for number in range(200)]},
    "a password": {"type": "string", "allOf": [{"pattern": "[a-z]"}, {"pattern": "[0-9]"}, {"pattern": "^.{8,64}$"}]},
    "a chain of 100": chain(100),
}


@pytest.mark.parametrize("name", [*ACCEPTED, *ORDINARY])
def test_a_cheap_schema_is_accepted_regardless_of_its_size(name: str) -> None:
    schema = (ACCEPTED | ORDINARY)[name]
    began = time.process_time()
    unenforceable_keywords(schema)
    unclosable_keywords(schema)
    GrammarConstraint(BYTES, schema_spec(schema), 100)
    assert time.process_time() - began < MAX_CPU_SECONDS


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_is_too_costly_is_refused_with_the_reason(name: str) -> None:
    schema, said = REFUSED[name]
    began = time.process_time()
    with pytest.raises(SchemaRefused, match=said):
        unenforceable_keywords(schema)
    assert time.process_time() - began < MAX_CPU_SECONDS


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_schemas_can_be_completed(name: str) -> None:
    assert unclosable_keywords(ORDINARY[name]) == ()


def test_the_search_work_for_forced_text_is_linear_in_its_length() -> None:
    assert unclosable_keywords(ACCEPTED["a long constant"]) == ()


def test_a_search_that_fails_in_the_library_does_not_affect_the_matcher() -> None:
    constraint = GrammarConstraint(BYTES, schema_spec(ACCEPTED["a long string"]), 100)
    assert not constraint.can_close
    for byte in b'{"a": "abc':
        assert constraint.allows(byte)
        constraint.accept(byte)


def test_a_search_stops_at_its_work_limit() -> None:
    assert unclosable_keywords(ACCEPTED["a long string"]) == ("minLength",)
    assert unclosable_keywords(ACCEPTED["many items"]) == ("minItems",)
    assert MAX_WORK < 100_000


def test_the_weight_does_not_grow_with_the_values_of_length_keywords() -> None:
    for most in (10, 10**9):
        check_weight({"type": "array", "maxItems": most, "items": {"type": "string", "maxLength": most}})


def test_schemas_that_are_allowed_singly_can_be_refused_together() -> None:
    one = closed_object(copies(300, {"type": "integer", "minimum": 0}))
    check_weight(one)
    with pytest.raises(SchemaRefused, match="too much work"):
        check_weight(*[json.loads(json.dumps(one)) for _ in range(40)])
