"""An $id that nothing refers to constrains nothing, whatever it says."""

from typing import Any

import pytest

from oruel.constraints.schema import json_grammar, unenforceable_keywords
from oruel.constraints.tokens import TokenTable
from oruel.errors import SchemaRefused
from tests.text.vocabularies import ByteVocabulary

TOKENS = TokenTable(ByteVocabulary())
NO_URI = "anyOf with refs"
NODE = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def can_be_written(schema: dict[str, Any], text: str) -> bool:
    matcher = TOKENS.matcher(json_grammar(schema))
    data = list(text.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": NO_URI, **NODE},
        {"$id": NO_URI, "$defs": {"node": NODE}, "$ref": "#/$defs/node"},
        {"$defs": {"node": {"$id": NO_URI, **NODE}}, "$ref": "#/$defs/node"},
        {
            "$defs": {"node": {"$id": NO_URI, "$defs": {"x": NODE}, "$ref": "#/$defs/node/$defs/x"}},
            "$ref": "#/$defs/node",
        },
        {
            "$id": "a thing",
            "$defs": {"node": {"$id": "https://example.com/n", **NODE}},
            "$ref": "https://example.com/n",
        },
        {"$id": "https://example.com/all", "$defs": {"node": NODE}, "$ref": "https://example.com/all#/$defs/node"},
        {"id": NO_URI, **NODE},
    ],
)
def test_a_schema_is_served_whatever_its_id_says(schema: dict[str, Any]) -> None:
    assert unenforceable_keywords(schema) == ()
    assert can_be_written(schema, '{"a": 1}')
    assert not can_be_written(schema, '{"a": "x"}')


@pytest.mark.parametrize("reference", [NO_URI, "https://example.com/nowhere", "#/$defs/nowhere", "other.json"])
def test_a_reference_to_nothing_is_refused_by_name(reference: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        unenforceable_keywords({"$defs": {"node": {"$id": NO_URI, **NODE}}, "$ref": reference})
    assert reference.removeprefix("#") in refused.value.message


def test_what_is_called_id_in_a_document_stays() -> None:
    assert can_be_written({"const": {"$id": NO_URI}}, '{"$id": "anyOf with refs"}')
    named = {"type": "object", "properties": {"$id": {"const": NO_URI}, "id": {"type": "integer"}}}
    assert not can_be_written(named | {"additionalProperties": False}, '{"$id": 1}')
    assert not can_be_written(named | {"additionalProperties": False}, '{"id": "x"}')
