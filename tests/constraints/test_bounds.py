"""However long a document is, the parsers of this world can read it; Python's own, a strict one, judges."""

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


def write(held: GrammarConstraint | JsonObjectConstraint, wanted: list[bytes], chance: random.Random) -> str:
    """What comes of taking the first of these tokens that may follow, or else anything."""
    ids = [TOKENS.pieces.index(piece) for piece in wanted]
    written = b""
    for _ in range(BUDGET):
        if held.is_complete:
            break
        if forced := held.forced:
            token = forced[0]
        else:
            allowed = np.flatnonzero(np.unpackbits(held.mask(), count=TOKENS.size, bitorder="little"))
            token = held.settle(next((one for one in ids if one in allowed), int(chance.choice(list(allowed)))))
        if token in TOKENS.ends:
            break
        held.accept(token)
        written += TOKENS.pieces[token]
    return written.decode()


def assert_readable(text: str) -> None:
    value = [json.loads(text)]
    while value:
        one = value.pop()
        assert not isinstance(one, float) or math.isfinite(one)
        value += one if isinstance(one, list) else one.values() if isinstance(one, dict) else []


@pytest.mark.parametrize("endless", ENDLESS)
def test_an_object_without_end_can_be_read(endless: str) -> None:
    assert_readable(write(JsonObjectConstraint(TOKENS, BUDGET), ENDLESS[endless], random.Random(1)))


@pytest.mark.parametrize("endless", ENDLESS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_document_of_a_schema_without_end_can_be_read(schema: str, endless: str) -> None:
    held = GrammarConstraint(TOKENS, schema_spec(SCHEMAS[schema]), BUDGET)
    assert_readable(write(held, ENDLESS[endless], random.Random(2)))


def test_what_any_document_holds_is_within_the_bounds() -> None:
    bounds = ParserBounds()
    bounds.feed(json.dumps({"a": [1e308, -1e-308, 2**900, "[" * 100, "e999", '"9' * 200], "b": [[[]]] * 100}).encode())
    assert bounds.are_kept


@pytest.mark.parametrize("text", ["[" * 65, "9" * 301, "1e309", "[-1E400", "12345678901e300"])
def test_what_a_parser_may_not_read_is_not(text: str) -> None:
    assert not ParserBounds().allow(text.encode())
    bounds = ParserBounds()
    bounds.feed(text.encode())
    assert not bounds.are_kept
