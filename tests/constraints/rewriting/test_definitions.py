"""Definitions that no value fits refuse no schema in which other documents fit, and none gets lost."""

import cProfile
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from oruel.constraints.closing.first_end import left_out_of_document
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.rewriting.unfitting import without_unfitting_references
from oruel.constraints.spec import schema_spec
from oruel.json_schema.references import references_in, resolve_pointer
from tests.constraints.test_grammar import TOKENS

UNFITTING: list[Any] = [
    False,
    {"enum": []},
    {"type": "null", "not": {"const": None}},
    {"type": "integer", "minimum": 5, "maximum": 4},
    {"allOf": [{"type": "string"}, {"type": "object"}]},
    {"type": "object", "properties": {"a": False}, "required": ["a"]},
    {"anyOf": [{"type": "string", "const": 1}, False]},
]
AROUND: list[tuple[dict[str, Any], Any]] = [
    ({"properties": {"a": {"$ref": "#/$defs/no"}}}, {}),
    ({"type": "array", "items": {"$ref": "#/$defs/no"}}, []),
    ({"anyOf": [{"$ref": "#/$defs/no"}, {"type": "integer"}]}, 5),
    ({"anyOf": [{"$ref": "#/$defs/no", "minimum": 1}, {"type": "integer"}]}, 5),
]


@pytest.mark.parametrize("unfitting", UNFITTING)
@pytest.mark.parametrize(("around", "document"), AROUND)
def test_what_nothing_fits_may_be_left_out(unfitting: Any, around: dict[str, Any], document: Any) -> None:
    schema = {**around, "$defs": {"no": unfitting}}
    assert Draft202012Validator(schema).is_valid(document)
    assert left_out_of_document(schema) == ((), ())
    assert GrammarConstraint(TOKENS, schema_spec(schema), 30).can_close


LINKS = {
    "root": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    "node": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    "other": {"anyOf": [{"$ref": "#/$defs/other"}, {"type": "null"}]},
}


def test_a_merged_definition_with_another_one_inside_is_kept() -> None:
    node = {"type": "object", "properties": LINKS}
    schema = {
        "allOf": [
            {"$ref": "#/$defs/node"},
            {"type": "object", "properties": {"node": {"allOf": [{"$ref": "#/$defs/other"}, {"maxProperties": 2}]}}},
        ],
        "$defs": {"node": node, "other": node},
    }
    found = rewritten(schema)
    assert all(resolve_pointer(found, reference) is not None for reference in references_in(found))
    assert left_out_of_document(schema) == ((), ())


@pytest.mark.parametrize("types", [["integer", "number"], ["number", "integer", "null"]])
def test_integers_are_numbers_beside_bounds(types: list[str]) -> None:
    schema = {"enum": [-10.0, None], "type": types, "minimum": -14.0, "exclusiveMaximum": -5.0}
    assert left_out_of_document(schema) == ((), ())


def test_definitions_that_refer_to_each_other_are_looked_at_a_bounded_number_of_times() -> None:
    names = [f"d{number}" for number in range(60)]
    choice = [{"$ref": f"#/$defs/{name}"} for name in names]
    one = {"type": "object", "properties": {"next": {"anyOf": choice}}, "required": ["next"], "oneOf": choice[:9]}
    profile = cProfile.Profile()
    profile.runcall(without_unfitting_references, {"anyOf": choice, "$defs": dict.fromkeys(names, one)})
    comparisons = sum(entry.callcount for entry in profile.getstats() if "_are_disjoint" in str(entry.code))
    assert comparisons < 3_000
