"""Documents of random schemas over all keywords are closed in their budget, and valid but for what is named."""

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from oruel.types import SamplingParams
from tests.constraints import oracle
from tests.constraints.documents import DocumentPlan, document_plans, examine, verdict, write
from tests.constraints.schema_strategies import SchemaCase, schema_cases
from tests.constraints.test_grammar import TOKENS
from tests.constraints.writers import WRITERS

# `python -m tests.constraints.many_documents` writes as many as one likes.
SCHEMAS, DOCUMENTS_A_SCHEMA = 150, 2
SOUND = {"valid", "valid but for what is named", "unclosed, named", "undecided"}

# The same schemas at each run; many_documents draws others.
unhurried = settings(
    max_examples=SCHEMAS,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@unhurried
@given(schema_cases(), st.lists(document_plans(), min_size=1, max_size=DOCUMENTS_A_SCHEMA))
def test_every_document_is_closed_and_valid_but_for_what_is_named(case: SchemaCase, plans: list[DocumentPlan]) -> None:
    examined = examine(TOKENS, case.schema)
    if examined.spec is None:
        event("refused")
        assert examined.reason
        return
    for plan in plans:
        written = write(TOKENS, case.schema, examined.spec, examined.budget(plan), plan)
        found = verdict(case.schema, examined, written)
        event(found)
        assert found in SOUND, f"{found}: {written}, {examined.named} named"


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("where", ["additionalProperties", "items"])
def test_a_document_leaves_out_what_nothing_fits(where: str, writer: str) -> None:
    schema = {where: {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    examined = examine(TOKENS, schema)
    assert examined.spec
    for seed in range(20):
        plan = DocumentPlan(seed, writer, SamplingParams(seed=seed))
        written = write(TOKENS, schema, examined.spec, examined.budget(plan), plan)
        assert verdict(schema, examined, written) in SOUND, written


@settings(unhurried, max_examples=100)
@given(schema_cases())
def test_the_schemas_are_schemas(case: SchemaCase) -> None:
    kind = Draft7Validator if "draft-07" in case.schema.get("$schema", "") else Draft202012Validator
    kind.check_schema(case.schema)


def test_keywords_are_left_out_where_they_are_keywords() -> None:
    schema = {"not": {}, "properties": {"not": {"not": {}, "enum": [{"not": 1}]}}, "anyOf": [{"not": True}, False]}
    left = {"properties": {"not": {"enum": [{"not": 1}]}}, "anyOf": [{}, False]}
    assert oracle.without(schema, ("not",)) == left


def test_patterns_mean_what_ecma_262_says() -> None:
    schema = {"pattern": r"^[a-z$.]+\.$", "properties": {"pattern": {"pattern": "."}}}
    assert oracle.is_valid(schema, "a$.\n")
    assert not oracle.is_valid(oracle.by_ecma(schema), "a$.\n")
    assert oracle.is_valid(oracle.by_ecma(schema), "a$.")


def test_multiples_are_exact() -> None:
    assert oracle.is_valid({"multipleOf": 0.01}, 32.3)
    assert not oracle.is_valid({"multipleOf": 0.01}, 32.301)
