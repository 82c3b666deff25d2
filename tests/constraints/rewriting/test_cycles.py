"""Schemas that refer to themselves beside other keywords fit the same documents, and can be written."""

import json
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from oruel.constraints.rewriting.cycles import cyclic_references, without_merged_cycles
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.schema import BYTES, json_grammar, left_out
from oruel.errors import SchemaRefused

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
SIBLINGS: list[dict[str, Any]] = [
    {"deprecated": True},
    {"x-word": 1, "default": {}},
    {"type": "object"},
    {"required": ["a"]},
    {"properties": {"a": {"const": 1}}},
    {"allOf": [{"required": ["a"]}]},
    {"anyOf": [{"required": ["a"]}, {"required": ["next"]}]},
]


def node(place: dict[str, Any]) -> dict[str, Any]:
    """A schema of linked objects; `place` is what refers to the next."""
    members = {"a": {"type": "integer"}, "next": place}
    return {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": members}}}


def places(sibling: dict[str, Any]) -> dict[str, dict[str, Any]]:
    link = {"$ref": "#/$defs/n"}
    return {
        "beside": {**link, **sibling},
        "first": {**sibling, **link},
        "in allOf": {"allOf": [link, sibling]},
        "in anyOf": {"anyOf": [{**link, **sibling}, {"type": "null"}]},
        "around anyOf": {**sibling, "anyOf": [link, {"type": "null"}]}
        if "anyOf" not in sibling
        else {**link, **sibling},
    }


CASES = [(place, sibling) for sibling in SIBLINGS for place in places({})]


def random_document(chance: random.Random, depth: int = 0) -> Any:
    if depth > 3 or chance.random() < 0.2:
        return chance.choice([None, {}, 1, {"a": 1}, {"a": "x"}])
    document: dict[str, Any] = {"a": chance.choice([1, 1, 2, "x"])} if chance.random() < 0.7 else {}
    return document | ({"next": random_document(chance, depth + 1)} if chance.random() < 0.8 else {})


def can_be_written(schema: dict[str, Any], document: Any) -> bool:
    matcher = BYTES.matcher(json_grammar(schema))
    data = list(json.dumps(document).encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


@pytest.mark.parametrize(("place", "sibling"), CASES)
def test_a_cyclic_reference_beside_other_keywords_is_held(place: str, sibling: dict[str, Any]) -> None:
    schema = node(places(sibling)[place])
    assert left_out(schema).keywords == ()
    before, after = Draft202012Validator(schema), Draft202012Validator(rewritten(schema))
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for document in (random_document(chance) for _ in range(100)):
        assert before.is_valid(document) == after.is_valid(document) == can_be_written(schema, document), document


@pytest.mark.parametrize("sibling", [{"type": "integer"}, {"required": ["b"]}, {"enum": []}])
def test_until_draft_7_a_reference_stands_alone(sibling: dict[str, Any]) -> None:
    schema = {"$schema": DRAFT_7, **node({"$ref": "#/$defs/n", **sibling})}
    assert left_out(schema) == ((), ())
    document: Any
    for document in ({"next": {}}, {"next": {"next": {"a": 1}}}, {"next": 1}, {"next": {"a": "x"}}):
        assert can_be_written(schema, document) == validator_for(schema)(schema).is_valid(document)


def test_definitions_that_refer_to_each_other_are_held() -> None:
    schema = {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b", "required": ["a"]}}},
            "b": {"type": "object", "properties": {"a": {"$ref": "#/$defs/alias", "type": ["object", "null"]}}},
            "alias": {"$ref": "#/$defs/a", "required": ["x"]},
            "apart": {"type": "integer"},
        },
    }
    assert cyclic_references(schema) == {"#/$defs/a", "#/$defs/b", "#/$defs/alias"}
    assert left_out(schema) == ((), ())
    document: Any
    for document in ({}, {"b": {"a": {"b": {"a": {"b": {}}}}}}, {"b": {}}, {"b": {"a": {}}}, {"b": {"a": {"x": 1}}}):
        assert can_be_written(schema, document) == Draft202012Validator(schema).is_valid(document)


def test_the_root_may_be_merged_with_itself() -> None:
    schema = {"type": "object", "properties": {"in": {"$ref": "#", "required": ["in"]}, "to": {"type": "integer"}}}
    assert left_out(schema) == ((), ())
    document: Any
    for document in ({"in": {"in": {"to": 1}}}, {"in": {"to": 1}}, {"in": {"in": {}}}, {"to": 1}):
        assert can_be_written(schema, document) == Draft202012Validator(schema).is_valid(document)


def test_a_schema_without_cycles_stays_as_it_is() -> None:
    schema = {
        "$ref": "#/$defs/a",
        "type": "object",
        "$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {}},
    }
    assert without_merged_cycles(schema) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#", "type": "object"},
        {"$defs": {"a": {"$ref": "#/$defs/b", "type": "object"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"type": "object"}]}}, "$ref": "#/$defs/a"},
    ],
)
def test_a_schema_that_applies_itself_to_the_same_value_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused, match="without an end"):
        left_out(schema)
