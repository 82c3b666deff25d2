"""Completions of partial documents, judged by jsonschema: each yielded one is valid, and one is found nearly always."""

import json
import random
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest

from oruel.constraints.completion.checked import checked_keywords
from oruel.constraints.completion.completions import DocumentCompletions
from oruel.constraints.schema import BYTES
from oruel.constraints.spec import schema_spec
from oruel.errors import SchemaRefused
from tests.constraints.completion.documents import (
    DRAFT7,
    RandomDocuments,
    RandomSchemas,
    as_draft7,
    text_of,
    validator_of,
)

WHOLE = {"type": "integer"}


def found(schema: Any, prefix: bytes, most: int = 8) -> list[bytes]:
    """The first completions, all of them valid by the oracle."""
    oracle = validator_of(schema)
    rests = list(islice((rest for rest in DocumentCompletions(schema).after(prefix) if rest is not None), most))
    for rest in rests:
        assert oracle.is_valid(json.loads(prefix + rest)), f"{prefix + rest!r} for {json.dumps(schema)}"
    return rests


KIND = {"kind": {"enum": ["a", "b"]}, "v": {}, "w": WHOLE}
CASES: list[tuple[str, dict[str, Any], bytes]] = [
    ("oneOf", {"oneOf": [WHOLE, {"type": "number"}]}, b"1"),
    ("oneOf", {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"}, b"{"),
    ("not", {"type": "object", "not": {"required": ["a"]}, "minProperties": 2}, b"{"),
    ("not", {"type": "array", "items": {"not": {"type": "null"}}, "minItems": 2}, b"["),
    ("if", {"properties": KIND, "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["v"]}}, b'{"kin'),
    ("else", {"properties": KIND, "if": {"required": ["v"]}, "else": {"required": ["w"]}}, b'{"kind": "b", '),
    ("uniqueItems", {"type": "array", "items": WHOLE, "uniqueItems": True, "minItems": 4}, b"[10, 1, 10"),
    ("uniqueItems", {"type": "array", "items": {"enum": [1, "1", True, 1.5]}, "uniqueItems": True}, b"[1, 1"),
    (
        "uniqueItems",
        {"uniqueItems": True, "items": {"type": "object", "properties": {"a": WHOLE}}},
        b'[{"a": 1}, {"a": 1',
    ),
    ("contains", {"type": "array", "contains": {"const": 5}, "minContains": 2, "items": WHOLE}, b"[5, 1"),
    ("maxContains", {"contains": {"const": 5}, "maxContains": 1, "items": {"enum": [5, 6]}, "minItems": 3}, b"[5, "),
    ("dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"], "b": ["c"]}}, b'{"a": 1'),
    ("dependentSchemas", {"dependentSchemas": {"a": {"required": ["b"], "properties": {"b": WHOLE}}}}, b'{"a": null'),
    ("dependencies", {"$schema": DRAFT7, "dependencies": {"a": ["b"], "b": {"required": ["c"]}}}, b'{"a": null'),
    ("minProperties", {"type": "object", "minProperties": 5}, b'{"a": 1, "a": 2, "b'),
    ("maxProperties", {"properties": KIND, "maxProperties": 2, "required": ["w"]}, b'{"kind": "a"'),
    ("propertyNames", {"type": "object", "propertyNames": {"pattern": "^x"}, "minProperties": 2}, b'{"x'),
    (
        "unevaluatedProperties",
        {"unevaluatedProperties": False, "allOf": [{"properties": KIND}], "minProperties": 2},
        b"{",
    ),
    ("unevaluatedItems", {"unevaluatedItems": False, "prefixItems": [WHOLE, WHOLE], "minItems": 2}, b"[1"),
    ("not", {"type": "string", "not": {"maxLength": 30}}, b'"a'),
    ("not", {"type": "array", "not": {"maxItems": 5}}, b"[1"),
    ("uniqueItems", {"not": {"uniqueItems": True}, "type": "array", "items": WHOLE}, b"[1, 2"),
    ("pattern", {"type": "string", "pattern": "^(?!foo)[a-z]{4}$"}, b'"fo'),
    ("pattern", {"type": "string", "pattern": r"^(?=.*[A-Z])(?=.*\d)(?=.*[!@#]).{8,}$"}, b'"secret'),
]


KIND_IF = {"type": "object", "if": {"required": ["v"]}, "then": {"properties": {"v": {"const": 3.5}}}}
D7 = {"$schema": DRAFT7}
NUMBERED = {"0": {"type": "object", "properties": {"7": WHOLE}}, "1": {"enum": [3, 4]}}
CASES += [
    (
        "dependencies",
        {**D7, "required": ["0", "a"], "dependencies": {"0": {"properties": {"a": {"const": 3.5}}}}},
        b"{",
    ),
    ("dependentSchemas", {"dependentSchemas": {"0": {"properties": {"7": {"const": 3.5}}}}}, b'{"0": 1, "7'),
    ("then", {"type": "object", "if": {"required": ["0"]}, "then": {"properties": {"1": WHOLE}}}, b'{"0": [], "1'),
    ("not", {"required": ["0"], "properties": NUMBERED, "not": {"properties": {"0": {"maxProperties": 0}}}}, b"{"),
    ("if", {"properties": {"": {**KIND_IF, "required": ["kind", "v"]}}, "required": [""]}, b"{"),
    (
        "dependentSchemas",
        {"required": ["a", ""], "dependentSchemas": {"a": {"properties": {"": {"const": 3.5}}}}},
        b"{",
    ),
    ("contains", {"allOf": [{"contains": WHOLE}], "contains": {"minimum": 5}, "maxContains": 1, "maxItems": 1}, b"["),
    ("not", {"required": ["1"], "properties": NUMBERED, "not": {"properties": {"1": {"const": 3}}}}, b"{"),
]


@pytest.mark.parametrize(("keyword", "schema", "prefix"), CASES)
def test_what_the_grammar_leaves_out_is_completed(keyword: str, schema: dict[str, Any], prefix: bytes) -> None:
    assert keyword in checked_keywords(schema)
    assert found(schema, prefix)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "multipleOf": 7, "minimum": 8, "maximum": 13},
        {"type": "string", "pattern": "a", "maxLength": 0},
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"required": ["b"], "type": "object", "properties": {"b": {"$ref": "#"}}}},
        },
        {"uniqueItems": True, "minItems": 3, "type": "array", "items": {"type": "boolean"}},
        {"anyOf": [{"anyOf": [{"anyOf": [WHOLE] * 9}] * 9}] * 9, "not": {}},
    ],
)
def test_the_work_for_a_schema_that_nothing_fits_is_bounded(schema: dict[str, Any]) -> None:
    steps = sum(1 for _ in DocumentCompletions(schema).after(b""))
    assert steps < 5_000


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#"}], "not": {}},
        {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"oneOf": [WHOLE, {"$ref": "#"}]}}},
        {
            "$ref": "#/$defs/0",
            "$defs": {f"{n}": {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 3} for n in range(20)} | {"20": {}},
        },
    ],
)
def test_a_schema_that_takes_endless_work_to_judge_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused):
        DocumentCompletions(schema)


def test_a_document_can_be_cut_anywhere() -> None:
    schema = {
        "type": "object",
        "properties": {"naïve": {"enum": ["\n\té", "\u20ac"]}, "b": {"type": "array", "items": {"type": "number"}}},
        "required": ["naïve"],
        "additionalProperties": {"type": ["boolean", "null"]},
    }
    text = text_of({"naïve": "\n\té", "b": [1, -2.5, 1e300], "more": None, "x": True})
    for cut in range(len(text) + 1):
        assert found(schema, text[:cut], most=3), text[:cut]


@pytest.mark.parametrize("draft", ["7", "2020-12"])
def test_random_documents_cut_anywhere_are_completed(draft: str) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    cuts = completed = 0
    for number in range(80):
        schema = RandomSchemas(seed + number).whole()
        schema = as_draft7(schema) | {"$schema": DRAFT7} if draft == "7" else schema
        with suppress(SchemaRefused, RecursionError):
            DocumentCompletions(schema)
            for document in islice(RandomDocuments(schema, seed + number).valid(30), 2):
                text = text_of(document)
                cuts += 1
                completed += bool(found(schema, text[: random.Random(seed).randrange(len(text) + 1)], most=4))
    assert completed >= 0.95 * cuts, f"{completed} of {cuts}"


NAMED = [
    {"type": "object", "properties": dict.fromkeys(names, WHOLE), "required": [*names]} for names in ("ab", "bc", "de")
]
ONE, OTHER, THIRD = NAMED
ORDERS: list[dict[str, Any]] = [
    {"$ref": "#/$defs/one", **OTHER},
    {**OTHER, "$ref": "#/$defs/one"},
    {"allOf": [ONE, THIRD], **OTHER},
    {**OTHER, "allOf": [ONE, THIRD]},
    {"anyOf": [ONE, {"type": "null"}], **OTHER},
    {**OTHER, "oneOf": [ONE, {"type": "null"}]},
    {"oneOf": [ONE, {"type": "null"}], **OTHER},
    {"allOf": [{"$ref": "#/$defs/one"}, {"allOf": [THIRD]}], **OTHER, "required": ["b", "x", "a"]},
]


@pytest.mark.parametrize("schema", ORDERS, ids=json.dumps)
def test_keys_stand_in_the_order_of_the_grammar(schema: dict[str, Any]) -> None:
    whole = {**schema, "$defs": {"one": ONE}}
    (text,) = found(whole, b"", most=1)
    matcher = BYTES.matcher(schema_spec(whole).grammar)
    assert matcher.try_consume_tokens(list(text)) == len(text)


def test_a_broken_pattern_restricts_nothing() -> None:
    completions = DocumentCompletions({"type": "string", "pattern": "("})
    assert completions.left_out == {"pattern"}
    assert next(completions.after(b'"a')) == b'"'


def test_what_is_no_beginning_of_a_document_has_no_completion() -> None:
    for prefix in (b"{,", b"]", b'"\n', b"[1,2", b"\xff", b"{1", b"nul1", b"{} "):
        assert list(DocumentCompletions({}).after(prefix)) == []
