"""However nasty a schema is, a search for completions judges a counted number of documents."""

import json
from typing import Any

import pytest

from oruel.constraints.completion.completions import DocumentCompletions
from oruel.constraints.completion.node import Node, Nodes
from oruel.constraints.completion.search import MAX_JUDGED
from oruel.constraints.completion.validator import Validator
from oruel.constraints.completion.values import values

WHOLE = {"type": "integer"}
TREE = {
    "type": "object",
    "properties": {"k": {"enum": [1, 2]}, "l": {"$ref": "#"}, "r": {"$ref": "#"}},
    "required": ["k"],
    "if": {"properties": {"k": {"const": 1}}},
    "then": {"required": ["l", "r"]},
}
NASTY: list[tuple[dict[str, Any], bytes]] = [
    ({"not": {}}, b'{"a": 1, '),
    ({"allOf": [{"oneOf": [{"const": n}, {"const": n + 1}]} for n in range(30)]}, b""),
    (
        {"allOf": [{"anyOf": [{"required": [f"{n}{m}"]} for m in range(8)]} for n in range(12)], "maxProperties": 5},
        b"{",
    ),
    ({"type": "string", "pattern": "^(a+)+$", "not": {"pattern": "a"}}, b'"aaaa'),
    ({"type": "array", "items": WHOLE, "uniqueItems": True, "minItems": 900}, b"["),
    (
        {"items": {"items": {"uniqueItems": True, "minItems": 20, "type": "array"}, "minItems": 20}, "minItems": 20},
        b"[[",
    ),
    ({"uniqueItems": True, "minItems": 501}, json.dumps([{"a": n} for n in range(500)])[:-1].encode()),
    (TREE, b'{"k": 1'),
    (
        {"type": "object", "properties": {f"p{n}": {"oneOf": [WHOLE, WHOLE]} for n in range(40)}, "minProperties": 20},
        b"{",
    ),
    ({"type": "object", "patternProperties": {f"^a{n}[0-9]+$": WHOLE for n in range(30)}, "minProperties": 50}, b'{"a'),
]


@pytest.mark.parametrize(("schema", "prefix"), NASTY)
def test_the_number_of_judged_documents_is_bounded(
    schema: dict[str, Any], prefix: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = 0

    def count(self: Validator, value: Any) -> Any:
        nonlocal judged
        judged += 1
        return errors(self, value)

    errors = Validator.errors
    monkeypatch.setattr(Validator, "errors", count)
    list(DocumentCompletions(schema).after(prefix))
    assert judged <= MAX_JUDGED


def test_a_recursive_schema_takes_the_branch_that_ends() -> None:
    found = DocumentCompletions(TREE).after(b'{"k": 1')
    rest = next(rest for rest in found if rest is not None)
    assert json.loads(b'{"k": 1' + rest) == {"k": 1, "l": {"k": 2}, "r": {"k": 2}}


def test_values_of_endless_schemas_end() -> None:
    endless = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    node: Node = Nodes(endless, values).node([endless])
    assert list(node.samples) == []


def test_searches_of_one_schema_may_be_interleaved() -> None:
    completions = DocumentCompletions({"type": "array", "items": {"enum": list(range(20))}, "uniqueItems": True})
    both = zip(completions.after(b"[1, "), completions.after(b"[2"), strict=False)
    pairs = [pair for pair, _ in zip(both, range(50), strict=False)]
    assert any(first for first, _ in pairs)
    assert any(second for _, second in pairs)
