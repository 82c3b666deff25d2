"""Common JSON parsers can read documents of any length; checked with Python's parser, which is strict."""

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from tests.text.vocabularies import ByteVocabulary

TOKENS = TokenTable(ByteVocabulary(merges=[b"[[[[", b"11111111", b'{"', b"e9", b"999", b'":', b'": ']))
BUDGET = 6000
ENDLESS = {
    "brackets": [b"[[[["],
    "braces": [b'": ', b'":', b'{"'],
    "digits": [b"11111111"],
    "fractions": [b"0", b".", b"11111111"],
    "exponents": [b"9", b"e9", b"e", b"999"],
}
SCHEMAS: dict[str, Any] = {
    "a number": {"type": "number"},
    "an integer": {"type": "integer"},
    "an array": {"type": "array"},
    "integers": {"type": "array", "items": {"type": "integer"}},
    "numbers": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
    "anything": {},
    "nodes": {"type": "array", "items": {"$ref": "#"}},
}


def write(constraint: GrammarConstraint | JsonObjectConstraint, wanted: list[bytes], chance: random.Random) -> str:
    """Takes the first of the wanted tokens that is allowed, or else a random one, until the end. Returns the text."""
    ids = [TOKENS.pieces.index(piece) for piece in wanted]
    written = b""
    for _ in range(BUDGET):
        if constraint.is_complete:
            break
        if forced := constraint.forced:
            token = forced[0]
        else:
            allowed = np.flatnonzero(np.unpackbits(constraint.mask(), count=TOKENS.size, bitorder="little"))
            token = constraint.enforce_limits(
                next((one for one in ids if one in allowed), int(chance.choice(list(allowed))))
            )
        if token in TOKENS.ends:
            break
        constraint.accept(token)
        written += TOKENS.pieces[token]
    return written.decode()


def assert_readable(text: str) -> None:
    value = [json.loads(text)]
    while value:
        one = value.pop()
        assert not isinstance(one, float) or math.isfinite(one)
        value += one if isinstance(one, list) else one.values() if isinstance(one, dict) else []


@pytest.mark.parametrize("endless", ENDLESS)
def test_an_endless_object_stays_readable_by_parsers(endless: str) -> None:
    assert_readable(write(JsonObjectConstraint(TOKENS, BUDGET), ENDLESS[endless], random.Random(1)))


@pytest.mark.parametrize("endless", ENDLESS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_endless_schema_document_stays_readable_by_parsers(schema: str, endless: str) -> None:
    constraint = GrammarConstraint(TOKENS, schema_spec(SCHEMAS[schema]), BUDGET)
    assert_readable(write(constraint, ENDLESS[endless], random.Random(2)))


def test_ordinary_documents_are_within_the_parser_bounds() -> None:
    bounds = ParserBounds()
    bounds.feed(json.dumps({"a": [1e308, -1e-308, 2**900, "[" * 100, "e999", '"9' * 200], "b": [[[]]] * 100}).encode())
    assert bounds.is_within


@pytest.mark.parametrize("text", ["[" * 65, "9" * 301, "1e309", "[-1E400", "12345678901e300"])
def test_text_beyond_the_parser_bounds_is_not_allowed(text: str) -> None:
    assert not ParserBounds().allow(text.encode())
    bounds = ParserBounds()
    bounds.feed(text.encode())
    assert not bounds.is_within
