"""Which keywords of a schema are enforced, and that the others are reported; compared with jsonschema."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from oruel.constraints.schema import MAX_NAMES, embed_schema, json_grammar, left_out, unenforceable_keywords
from oruel.constraints.tokens import TokenTable
from oruel.errors import SchemaRefused
from tests.text.vocabularies import ByteVocabulary

TOKENS = TokenTable(ByteVocabulary())
A_NUMBER = {"type": "object", "properties": {"a": {"type": "integer"}}}
BY_PATTERN = {"type": "object", "patternProperties": {"^x": {"type": "integer"}}}


def can_be_written(schema: dict[str, Any], text: str) -> bool:
    matcher = TOKENS.matcher(json_grammar(schema))
    data = list(text.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (A_NUMBER, r'{"\u0061": "s"}'),
        (A_NUMBER | {"required": ["a"]}, r'{"a": 1, "\u0061": "s"}'),
        (A_NUMBER | {"additionalProperties": {"type": "string"}}, r'{"\u0061": "s"}'),
        (BY_PATTERN, r'{"\u0078": "s"}'),
        ({"type": "object", "properties": {"\n": {"type": "integer"}}}, r'{"\u000a": "s"}'),
        ({"type": "array", "items": A_NUMBER}, r'[{"\u0061": "s"}]'),
        ({"anyOf": [A_NUMBER]}, r'{"\u0061": "s"}'),
    ],
)
def test_an_escaped_key_is_constrained_like_the_plain_key(schema: dict[str, Any], text: str) -> None:
    assert not Draft202012Validator(schema).is_valid(json.loads(text))
    assert not can_be_written(schema, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (A_NUMBER, r'{"a": 1, "line\n\"two\"": "\t"}'),
        ({"type": "object", "properties": {"\x01": {"type": "integer"}}}, r'{"\u0001": 1}'),
        ({"type": "string"}, r'"\u001b[0m"'),
        ({"const": "\x01"}, r'"\u0001"'),
        ({"type": "object"}, r'{"\u001b": "\u001b"}'),
        (A_NUMBER | {"additionalProperties": False}, '{"a": 1}'),
    ],
)
def test_characters_that_json_must_escape_can_be_written(schema: dict[str, Any], text: str) -> None:
    assert Draft202012Validator(schema).is_valid(json.loads(text))
    assert can_be_written(schema, text)


def test_a_schema_whose_escapes_would_bypass_it_is_refused() -> None:
    for value in ("\x1b", "\x7f"):
        schema = {"type": "object", "properties": {"a": {"enum": ["x", value]}}}
        with pytest.raises(SchemaRefused, match="set additionalProperties to false"):
            unenforceable_keywords(schema)
        assert unenforceable_keywords(schema | {"additionalProperties": False}) == ()
    assert unenforceable_keywords({"type": "object", "properties": {"a": {"const": "\n\t \u0123"}}}) == ()


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (
            {"type": "array", "uniqueItems": True, "contains": {"const": 1}, "items": {"not": {"minLength": 5}}},
            ("contains", "not", "uniqueItems"),
        ),
        ({"oneOf": [{"type": "object"}, {"type": "object", "minProperties": 1}]}, ("oneOf",)),
        ({"type": "integer", "divisibleBy": 2}, ("divisibleBy",)),
        ({"extends": {"type": "integer"}, "disallow": "string"}, ("disallow", "extends")),
        # The same key may be written several times.
        ({"type": "object", "minProperties": 3}, ("minProperties",)),
        (BY_PATTERN | {"additionalProperties": False, "minProperties": 2}, ("minProperties",)),
        (A_NUMBER | {"minProperties": 2}, ("minProperties",)),
        (A_NUMBER | {"maxProperties": 1}, ("maxProperties",)),
    ],
)
def test_keywords_that_are_not_enforced_are_reported(schema: dict[str, Any], named: tuple[str, ...]) -> None:
    assert unenforceable_keywords(schema) == named


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "description": "x",
            "title": "y",
            "default": {},
            "examples": [1],
            "$comment": "",
        },
        {"type": "object", "deprecated": True, "readOnly": True, "writeOnly": False},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/x", "type": "integer"},
        {"type": "object", "properties": {"unheard-of": {"type": "integer"}}, "required": ["unheard-of"]},
        {"enum": [{"unheard-of": 1}]},
        {"type": "object", "minProperties": 1},
    ],
)
def test_keywords_without_effect_on_validity_are_not_reported(schema: dict[str, Any]) -> None:
    assert left_out(schema) == ((), ())


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string", "minimal": 5}]}}}, ("minimal",)),
        ({"x-order": 1, "self": {"a": 1}, "type": "integer"}, ("self", "x-order")),
        ({"type": "string", "format": "colour", "nullable": True}, ("format=colour", "nullable")),
        ({"type": "string", "contentEncoding": "base64", "contentSchema": {}}, ("contentEncoding", "contentSchema")),
        ({"type": "string", "format": "unknown"}, ("format=unknown",)),
    ],
)
def test_words_that_no_draft_gives_a_meaning_restrict_nothing_and_are_named(
    schema: dict[str, Any], words: tuple[str, ...]
) -> None:
    assert left_out(schema) == ((), words)


def test_what_an_unknown_word_contains_can_be_referred_to() -> None:
    schema = {
        "components": {"schemas": {"n": {"type": "integer", "self": 1}}},
        "type": "array",
        "items": {"$ref": "#/components/schemas/n"},
    }
    assert left_out(schema) == ((), ("components",))
    assert can_be_written(schema, "[1, 2]")
    assert not can_be_written(schema, '["a"]')


def test_the_number_of_unknown_words_is_bounded() -> None:
    assert len(left_out({f"key{number}": 1 for number in range(15_000)}).words) == MAX_NAMES


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "more": {"$ref": "#"}}}
WAYS_OUT = [
    NODE,
    NODE | {"required": ["next"], "type": ["object", "null"]},
    {"anyOf": [NODE | {"required": ["next"]}, {"type": "null"}]},
    {"type": "array", "items": {"$ref": "#/$defs/node"}},
]
WITHOUT_END = [
    {"$ref": "#/$defs/node"},
    NODE | {"required": ["next"]},
    {"anyOf": [{"$ref": "#/$defs/node"}, NODE | {"required": ["next"]}]},
    {"anyOf": [{"allOf": [{"$ref": "#/$defs/node"}, {"title": "x"}]}]},
    {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/node"}},
]


@pytest.mark.parametrize("node", WAYS_OUT)
def test_a_recursive_schema_with_a_finite_document_is_accepted(node: dict[str, Any]) -> None:
    unenforceable_keywords({"$defs": {"node": node}, "$ref": "#/$defs/node"})


@pytest.mark.parametrize("node", WITHOUT_END)
def test_a_schema_that_no_finite_document_fits_is_refused(node: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused, match="without an end"):
        unenforceable_keywords({"$defs": {"node": node}, "$ref": "#/$defs/node"})


@pytest.mark.parametrize(
    "schema",
    [
        {"const": "aa", "pattern": "^b"},
        {"type": "string", "format": "email", "minLength": 100},
        {
            "type": "string",
            "minLength": 5,
            "allOf": [{"pattern": f"^(a|b)*a(a|b){{{n}}}$"} for n in range(8, 14)],
        },
    ],
)
def test_refusals_of_schemas_are_readable(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused) as refused:
        unenforceable_keywords(schema)
    assert "(And" not in refused.value.message
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 100


def test_the_examination_of_a_schema_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    for schema in ({"title": "remembered", "type": "integer", "divisibleBy": 2}, {"title": "remembered", "$ref": "#"}):
        first = outcome(schema)
        with monkeypatch.context() as patch:
            patch.setattr("oruel.constraints.schema.examine", pytest.fail)
            assert outcome(schema) == first


def outcome(schema: dict[str, Any]) -> object:
    try:
        return unenforceable_keywords(schema)
    except SchemaRefused as error:
        return error.message


def test_a_float_count_without_a_fraction_is_an_integer() -> None:
    schema = {"type": "array", "minItems": 2.0, "maxItems": 2.0, "items": {"type": "string", "maxLength": 1.0}}
    assert unenforceable_keywords(schema) == ()
    assert can_be_written(schema, '["a", "b"]')
    assert not can_be_written(schema, '["a"]')
    assert not can_be_written(schema, '["a", "bc"]')
    assert unenforceable_keywords({"type": "string", "minLength": 1e5}) == ()


def test_a_schema_on_which_the_library_panics_is_refused() -> None:
    least_and_most = {"minimum": -1000, "maximum": -1000}
    schema = {"anyOf": [{"anyOf": [least_and_most, {"type": "integer", **least_and_most}]}]}
    with pytest.raises(SchemaRefused, match="fails on it"):
        unenforceable_keywords({"type": "object", "properties": {"a": schema}})


def test_texts_about_a_schema_do_not_travel_with_it() -> None:
    about = {"title": "t" * 10**6, "description": "d" * 10**6, "$comment": "c" * 10**6}
    names = {"title": {"type": "string"}, "description": {"const": "d"}}
    schema = {**about, "type": "object", "properties": {**names, "n": {**about, "type": "integer"}}}
    plain = {"type": "object", "properties": {**names, "n": {"type": "integer"}}}
    assert embed_schema(schema) == embed_schema(plain)
