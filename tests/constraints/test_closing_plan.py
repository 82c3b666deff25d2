"""ClosingPlan and ClosingSearch: updating a plan is cheap, and no search exceeds the work budget of a step."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from oruel.constraints.closing.first_end import first_end_search, unclosable_keywords
from oruel.constraints.closing.plan import ClosingPlan
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.closing.search import TOKENS_AT_ONCE
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import UNDECIDED, WorkBudget
from tests.constraints.choosing import next_token
from tests.text.vocabularies import ByteVocabulary

TOKENS = TokenTable(ByteVocabulary(merges=[b"ab", b"bc", b"abc", b'"}', b"aa", b"aaaa", b'", "']))
SEED = 20261125


def pattern(text: str) -> dict[str, Any]:
    return {"type": "string", "pattern": text}


def array(least: int, items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": least, "items": items}


CHOICE = {
    "type": "object",
    "properties": {"k": {"anyOf": [pattern(f"^{letter}{{180}}$") for letter in "abcdefgh"]}},
    "required": ["k"],
    "additionalProperties": False,
}
# Adversarial: the completion has thousands of tokens, and one token can change all of it.
ADVERSARIAL = {
    "long values": array(8, {"enum": [letter * 1500 for letter in "abcdefghijklmnop"]}),
    "many long choices": array(60, CHOICE),
    "a long string": {"type": "string", "minLength": 5000},
    "many numbers": array(3000, {"type": "integer"}),
}


PIECES = st.lists(st.sampled_from([b"ab", b"bc", b"abc", b"a", b"b", b"c"]), max_size=12)


@given(PIECES, PIECES)
def test_any_tokens_with_the_bytes_of_a_plan_follow_it(pieces: list[bytes], taken: list[bytes]) -> None:
    ids = {TOKENS.pieces[token]: token for token in range(TOKENS.size)}
    plan, text = ClosingPlan(TOKENS, [ids[piece] for piece in pieces], DocumentPosition(TOKENS)), b"".join(pieces)
    for piece in taken:
        token = ids[piece]
        length = plan.length_after([token])
        assert (length is not None) == text.startswith(piece)
        assert plan.follow([token]) == text.startswith(piece)
        if text.startswith(piece):
            text = text[len(piece) :]
            assert len(plan) == length
        assert b"".join(TOKENS.pieces[one] for one in plan.rest) == text


def test_a_plan_is_abandoned_if_no_tokens_spell_the_rest_of_a_token() -> None:
    class NoSingleC(ByteVocabulary):
        def piece(self, token: int) -> bytes:
            return b"" if token == ord("c") else super().piece(token)

    tokens = TokenTable(NoSingleC(merges=[b"bc"]))
    plan = ClosingPlan(tokens, [257], DocumentPosition(tokens))
    assert plan.length_after([ord("b")]) is None
    assert plan.length_after([257]) == 0


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_no_token_exceeds_the_work_budget_of_a_step(name: str) -> None:
    chance, share = random.Random(SEED), 10
    end = first_end_search(TOKENS, schema_spec(ADVERSARIAL[name])).find()
    assert end is not None
    budget = len(end) + 200
    constraint, written, waits = GrammarConstraint(TOKENS, schema_spec(ADVERSARIAL[name]), budget), list[int](), 0
    assert constraint.can_close
    searches = 0
    while not constraint.is_complete and len(written) < budget and searches < 60:
        if forced := constraint.forced:
            token = forced[0]
        else:
            allowed = np.flatnonzero(np.unpackbits(constraint.mask(), count=TOKENS.size, bitorder="little"))
            chosen, work = int(chance.choice(list(allowed))), WorkBudget(share)
            searches += 1
            while (token := constraint.enforce_limits(chosen, work)) == UNDECIDED:
                assert -2 * TOKENS_AT_ONCE < work.left <= 0
                waits, work = waits + 1, WorkBudget(share)
        constraint.accept(token)
        assert constraint.can_close
        written.append(token)
    assert waits > 0, "the search needs more than one share"


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_token_that_follows_the_plan_costs_no_work(name: str) -> None:
    spec = schema_spec(ADVERSARIAL[name])
    end = first_end_search(TOKENS, spec).find()
    assert end is not None
    constraint = GrammarConstraint(TOKENS, spec, len(end))
    for token in end[:500]:
        assert constraint.enforce_limits(token, WorkBudget(0)) == token
        constraint.accept(token)


def test_the_first_end_is_searched_once_for_all_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    for schema in (ADVERSARIAL["a long string"], pattern("^.*a.{60}b.*c.{40}d$")):
        first = GrammarConstraint(TOKENS, schema_spec(schema), 6000)
        with monkeypatch.context() as patch:
            patch.setattr("oruel.constraints.closing.first_end.ClosingSearch", pytest.fail)
            assert GrammarConstraint(TOKENS, schema_spec(schema), 6000).can_close == first.can_close


def test_keywords_that_prevent_closing_are_named() -> None:
    far = pattern("^.*a.{60}b.*c.{40}d$")
    assert unclosable_keywords(far) == ("pattern",)
    assert unclosable_keywords({"type": "object", "properties": {"a": far}, "required": ["a"]}) == ("pattern",)
    assert unclosable_keywords({"type": "object", "properties": {"a": far}}) == ()
    assert unclosable_keywords({"type": "array", "minItems": 10**6}) == ("minItems",)
    assert unclosable_keywords(pattern("foo")) == ()


# Each with a budget, found by hand, that fits a short document.
EMAIL = {"type": "string", "format": "email"}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "email": EMAIL, "site": {"type": "string", "format": "uri"}},
    "required": ["name", "email", "site"],
    "additionalProperties": False,
}
BASE = {"$defs": {"word": pattern("o")}, "type": "object", "required": ["a"], "additionalProperties": False}
CLOSING = [
    (EMAIL, 7),
    ({"type": "string", "format": "uri"}, 8),
    ({"type": "string", "format": "ipv4"}, 9),
    ({"type": "string", "format": "uuid"}, 38),
    ({"type": "string", "format": "date-time"}, 27),
    (PERSON, 60),
    (array(3, EMAIL), 40),
    (pattern("foo"), 5),
    (pattern("b$"), 3),
    (pattern(".+/.+"), 5),
    (pattern(r"^\S+@\S+$"), 5),
    (pattern(r"^[^@]+@[^@]+\.[a-z]+$"), 7),
    (pattern("^https?://.+$"), 11),
    (pattern("^[A-Z].*[.!?]$"), 4),
    (pattern("^x{500}$"), 502),
    (pattern("a.b") | {"allOf": [{"pattern": "c$"}, {"minLength": 6}]}, 8),
    (BASE | {"properties": {"a": {"$ref": "#/$defs/word", "minLength": 3}}}, 14),
    ({"type": "object", "patternProperties": {"^x.*y$": {"type": "integer"}}, "additionalProperties": False}, 2),
    ({"type": "string", "minLength": 300}, 302),
    (array(100, {"type": "boolean"}), 600),
    (
        {
            "type": "object",
            "properties": {"long": {"type": "string", "minLength": 20}, "email": EMAIL},
            "required": ["long", "email"],
            "additionalProperties": False,
        },
        60,
    ),
    # An optional member comes first, and is long.
    (
        {
            "type": "object",
            "properties": {"a": array(9, {"type": "string", "minLength": 30}), "word": pattern("o")},
            "required": ["word"],
            "additionalProperties": False,
        },
        15,
    ),
    ({"type": "object", "minProperties": 1, "additionalProperties": EMAIL}, 20),
]


LETTERS = {token for token, piece in enumerate(TOKENS.pieces) if piece.isalnum() or piece in (b"@", b".")}


LOOKS = {"type": "string", "pattern": "^(?!a)(?=a)."}
RECURSIVE = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["b", "c"]}


@pytest.mark.parametrize(
    ("keyword", "unfit"),
    [("contains", {"type": "array", "items": {"type": "integer"}, "contains": {"const": 5.5}}), ("pattern", LOOKS)],
)
def test_a_document_closes_without_the_keyword_that_no_document_fits(keyword: str, unfit: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": RECURSIVE, "b": unfit}, "required": ["a", "b"]}
    assert unclosable_keywords(schema) == (keyword,)
    assert GrammarConstraint(TOKENS, schema_spec(schema), 100).can_close


@pytest.mark.parametrize("room", [0, 4, 60])
@pytest.mark.parametrize(("schema", "budget"), CLOSING)
def test_a_budget_that_fits_a_document_yields_a_valid_document(schema: dict[str, Any], budget: int, room: int) -> None:
    chance = random.Random(f"{SEED} {schema} {room}")
    for _ in range(10):
        constraint, written = GrammarConstraint(TOKENS, schema_spec(schema), budget + room), list[int]()
        while not constraint.is_complete and len(written) < budget + room:
            token = next_token(
                constraint, TOKENS, lambda allowed: chance.choice([one for one in allowed if one in LETTERS] or allowed)
            )
            if token in TOKENS.ends:
                break
            constraint.accept(token)
            written.append(token)
        text = b"".join(TOKENS.pieces[token] for token in written)
        assert Draft202012Validator(schema).is_valid(json.loads(text)), f"seed {SEED}: {text!r}"
