"""A document of any schema is valid and ends within its budget, however tokens are chosen among the allowed ones."""

import json
import random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.schema import not_both
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from tests.constraints.choosing import next_token
from tests.constraints.test_json_object import CHOOSERS
from tests.text.vocabularies import ByteVocabulary

LINKED = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "string", "minLength": 2},
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "next"],
        }
    },
    "$ref": "#/$defs/node",
}

scalars = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, room: {"type": "integer", "minimum": low, "maximum": low + room},
        st.integers(-999, 999),
        st.integers(0, 99),
    ),
    st.builds(
        lambda low, room: {"type": "string", "minLength": low, "maxLength": low + room},
        st.integers(0, 4),
        st.integers(0, 9),
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.text(max_size=6), min_size=1, max_size=4, unique=True)),
    st.sampled_from(
        [{"type": "string", "pattern": p} for p in ("^[a-z]{2,4}$", "^(ab|cd)+$", "^[0-9]{3}-[0-9]$", "^(a+)+b$")]
    ),
)


def objects(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda properties, open_, needed: {
            "type": "object",
            "properties": properties,
            "required": sorted(properties)[:needed],
            "additionalProperties": open_,
        },
        st.dictionaries(st.text(max_size=5), values, max_size=4),
        st.booleans(),
        st.integers(0, 4),
    )


def arrays(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda items, low, room: {"type": "array", "items": items, "minItems": low, "maxItems": low + room},
        values,
        st.integers(0, 3),
        st.integers(0, 3),
    )


schemas = objects(
    st.recursive(
        scalars,
        lambda inner: (
            objects(inner) | arrays(inner) | st.lists(inner, min_size=1, max_size=3).map(lambda one: {"anyOf": one})
        ),
        max_leaves=8,
    )
)
TOKENS = TokenTable(
    ByteVocabulary(merges=[b'", "', b'": ', b'"}', b"}}", b"abc", b'{"', "é".encode(), b"\xc3", b"  ", b"00"])
)


def write(schema: dict[str, Any], budget: int, chooser: str, chance: random.Random) -> tuple[bytes, GrammarConstraint]:
    constraint, written = GrammarConstraint(TOKENS, schema_spec(schema), budget), list[int]()
    while not constraint.is_complete and len(written) < budget:
        token = next_token(constraint, TOKENS, lambda allowed: CHOOSERS[chooser](chance, allowed, TOKENS.pieces))
        if token in TOKENS.ends:
            break
        constraint.accept(token)
        written.append(token)
    return b"".join(TOKENS.pieces[token] for token in written), constraint


@settings(max_examples=500, deadline=None)
@given(schemas, st.integers(1, 200), st.sampled_from(sorted(CHOOSERS)), st.integers(0, 2**32))
def test_every_document_is_valid(schema: dict[str, Any], budget: int, chooser: str, seed: int) -> None:
    assume(not not_both(schema))
    text, constraint = write(schema, budget, chooser, random.Random(seed))
    if constraint.can_close:
        assert Draft202012Validator(schema).is_valid(json.loads(text)), text


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.sampled_from(sorted(CHOOSERS)), st.integers(0, 2**32))
def test_a_document_of_a_recursive_schema_is_valid(budget: int, chooser: str, seed: int) -> None:
    text, constraint = write(LINKED, budget, chooser, random.Random(seed))
    assert constraint.can_close or budget < 40
    if constraint.can_close:
        assert Draft202012Validator(LINKED).is_valid(json.loads(text)), text


def test_only_the_separators_contain_whitespace() -> None:
    text, _ = write(LINKED, 300, "whitespace", random.Random(1))
    assert text.decode() == json.dumps(json.loads(text), ensure_ascii=False)


def test_a_budget_that_is_too_small_truncates_the_document() -> None:
    schema = {"type": "object", "properties": {"long": {"const": "x" * 50}}, "required": ["long"]}
    text, constraint = write(schema, 20, "anything", random.Random(1))
    assert not constraint.can_close
    assert not constraint.is_complete
    assert text.startswith(b'{"long": "xxx')


def test_a_top_level_number_is_valid_at_every_budget() -> None:
    for schema in ({"type": "number"}, {"anyOf": [{"type": "number"}, {"type": "array"}]}, {"enum": [1, 123456789]}):
        for seed in range(200):
            chance = random.Random(seed)
            text, constraint = write(schema, chance.randint(1, 6), "digits", chance)
            assert constraint.can_close
            assert Draft202012Validator(schema).is_valid(json.loads(text)), text


@given(st.integers(0, 2**32), st.integers(5, 60))
def test_every_number_is_finite(seed: int, budget: int) -> None:
    for schema in ({"type": "number"}, {"type": "array", "items": {"type": "number"}}, {"type": "object"}):
        text, constraint = write(schema, budget, "digits", random.Random(seed))
        assert constraint.can_close
        assert "Infinity" not in json.dumps(json.loads(text)), text
