"""A reference finds its target however it names it; jsonschema, which resolves references itself, says what fits."""

import random
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator

from oruel.constraints.schema import json_grammar, unenforceable_keywords
from oruel.constraints.tokens import TokenTable
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import NAMES, subschemas
from oruel.json_schema.references import MOST_SUBSCHEMAS, is_plain, plain_references, references_in, resolve_pointer
from oruel.text.arguments.tagged import ToolArguments
from tests.text.arguments.test_quoted import forms
from tests.text.vocabularies import ByteVocabulary

TOKENS = TokenTable(ByteVocabulary())
SEED = 20261127
INTEGER: dict[str, Any] = {"type": "integer"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "a pointer": {"$ref": "#/$defs/a", "$defs": {"a": INTEGER}},
    "a slash": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": INTEGER}},
    "a tilde": {"$ref": "#/$defs/a~0b", "$defs": {"a~b": INTEGER}},
    "an escape": {"$ref": "#/$defs/a%20b", "$defs": {"a b": INTEGER}},
    "a space": {"$ref": "#/$defs/a b", "$defs": {"a b": INTEGER}},
    "an umlaut": {"$ref": "#/$defs/ä", "$defs": {"ä": INTEGER}},
    "a quote": {"$ref": '#/$defs/a"b', "$defs": {'a"b': INTEGER}},
    "an index": {"anyOf": [INTEGER, {"type": "array", "items": {"$ref": "#/anyOf/0"}}]},
    "an unknown keyword": {"$ref": "#/x-types/a", "x-types": {"a": INTEGER}},
    "an anchor": {"$ref": "#x", "$defs": {"a": {"$anchor": "x", **INTEGER}}},
    "an $id": {"$id": "http://x/a", "$ref": "b", "$defs": {"b": {"$id": "b", **INTEGER}}},
    "an $id with a pointer": {
        "$ref": "http://x/a#/$defs/b",
        "$defs": {"a": {"$id": "http://x/a", "$defs": {"b": INTEGER}}},
    },
    "a pointer below an $id": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$id": "http://x/a", "$ref": "#/$defs/b", "$defs": {"b": INTEGER}}, "b": {"type": "string"}},
    },
    "an anchor of another $id": {
        "$ref": "other#x",
        "$id": "http://x/y",
        "$defs": {
            "a": {"$id": "other", "$defs": {"b": {"$anchor": "x", **INTEGER}}},
            "c": {"$anchor": "x", "type": "null"},
        },
    },
    "two steps": {"$ref": "#x", "$defs": {"a": {"$anchor": "x", "$ref": "#y"}, "b": {"$anchor": "y", **INTEGER}}},
    "draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [{"$ref": "#x"}],
        "definitions": {"a": {"$id": "#x", **INTEGER}},
    },
    "draft 4": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "allOf": [{"$ref": "http://x/a"}],
        "definitions": {"a": {"id": "http://x/a", **INTEGER}},
    },
}  # fmt: skip
VALIDATORS = {"draft 7": Draft7Validator, "draft 4": Draft4Validator}


def can_be_written(schema: dict[str, Any], text: str) -> bool:
    matcher = TOKENS.matcher(json_grammar(schema))
    data = list(text.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_reference_means_what_the_standard_says(name: str) -> None:
    schema = SCHEMAS[name]
    validator = VALIDATORS.get(name, Draft202012Validator)(schema)
    assert validator.is_valid(1)
    assert not validator.is_valid("x")
    assert unenforceable_keywords(schema) == ()
    assert can_be_written(schema, "1")
    assert not can_be_written(schema, '"x"')


@pytest.mark.parametrize(
    ("reference", "definitions"),
    [
        ("#/$defs/a~1b", {"a/b": INTEGER}),
        ("#/$defs/a%20b", {"a b": INTEGER}),
        ("#x", {"a": {"$anchor": "x", **INTEGER}}),
        ("http://x/a", {"a": {"$id": "http://x/a", **INTEGER}}),
    ],
)
@pytest.mark.parametrize("name", ["tagged", "Python", "MiniMax"])
def test_every_argument_syntax_resolves_references(name: str, reference: str, definitions: dict[str, Any]) -> None:
    parameters = {"type": "object", "properties": {"n": {"$ref": reference}}, "required": ["n"], "$defs": definitions}
    if name == "tagged":
        (argument,) = ToolArguments(parameters).each
        assert argument.schema["type"] == "integer"
    else:
        assert '"type": "integer"' in forms(name, parameters).grammar


@pytest.mark.parametrize("name", SCHEMAS)
def test_plain_references_are_pointers_to_the_same_target(name: str) -> None:
    plain = plain_references(SCHEMAS[name])
    assert all(map(is_plain, references_in(plain)))
    assert all(resolve_pointer(plain, reference) is not None for reference in references_in(plain))
    assert not any(NAMES & one.keys() for one in subschemas(plain))


@pytest.mark.parametrize("reference", ["#x", "other", "http://x/y", "http://[", "#/$defs/ä", "a b", "", "urn:x:y"])
def test_a_reference_to_nothing_is_refused(reference: str) -> None:
    with pytest.raises(SchemaRefused):
        unenforceable_keywords(
            {"$defs": {"a": {"$id": "http://x/z", **INTEGER}}, "allOf": [{"$ref": reference}]} | INTEGER
        )


def test_a_schema_without_names_is_not_copied() -> None:
    schema = SCHEMAS["a pointer"]
    assert plain_references(schema) is schema


def test_random_schemas_resolve_or_are_refused() -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    words = ["#", "#/$defs/a", "#x", "a", "http://x/", "http://x/a#/b", "#/%", "//", "http://[", "?", "#/a/0", "é", ""]
    for _ in range(2000):
        schema = random_schema(chance, words, 4)
        try:
            plain = plain_references(schema)
        except SchemaRefused:
            continue
        unresolved = {one for one in references_in(plain) if resolve_pointer(plain, one) is None}
        assert unresolved <= set(references_in(schema))


def random_schema(chance: random.Random, words: list[str], depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for key in ("$id", "$anchor", "$ref", "id", "$schema"):
        if chance.random() < 0.3:
            schema[key] = chance.choice([*words, 5, None, {}])
    if depth:
        for key in ("items", "not"):
            if chance.random() < 0.3:
                schema[key] = random_schema(chance, words, depth - 1)
        if chance.random() < 0.5:
            schema["$defs"] = {
                chance.choice(["a", "b", "é"]): random_schema(chance, words, depth - 1) for _ in range(2)
            }
    return schema


def test_too_many_subschemas_are_refused_before_they_are_resolved() -> None:
    members = {f"p{number}": {"$id": f"http://x/{number}", **INTEGER} for number in range(MOST_SUBSCHEMAS + 1)}
    with pytest.raises(SchemaRefused, match="subschemas"):
        plain_references({"$ref": "http://x/1", "$defs": members})


@pytest.mark.parametrize(
    ("dynamic", "static"),
    [
        (
            {"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}},
            {"items": {"$ref": "#"}},
        ),
        (
            {"$defs": {"a": {"$dynamicAnchor": "x", "type": "null"}}, "$dynamicRef": "#x", "$ref": "#/$defs/a"},
            {"$defs": {"a": {"type": "null"}}, "$ref": "#/$defs/a", "allOf": [{"$ref": "#/$defs/a"}]},
        ),
        ({"items": {"$recursiveRef": "#"}}, {"items": {"$ref": "#"}}),
    ],
)
def test_dynamic_references_of_a_schema_without_others_inside_are_static(
    dynamic: dict[str, Any], static: dict[str, Any]
) -> None:
    assert plain_references(dynamic) == static


def test_references_in_dependencies_are_plain() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "dependencies": {"a": {"items": {"$ref": "#name"}}},
        "definitions": {"x": {"$id": "#name", **INTEGER}},
    }
    assert list(references_in(plain_references(schema))) == ["#/definitions/x"]
