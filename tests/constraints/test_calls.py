"""Arguments of calls in JSON are valid under the whole schema of their function, but for what is named."""

import json
from collections.abc import Generator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from oruel.constraints.calls.constraint import CallsConstraint
from oruel.constraints.closing.first_end import left_out_of_arguments
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import RulesSpec
from oruel.constraints.tokens import TokenTable, panics_refused
from oruel.engine.compiler import compile_calls
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import REFUSED
from oruel.text.formats.calls import HERMES
from oruel.text.formats.reasoning import Markers, State
from oruel.text.grammars.calls import call_schema
from oruel.text.grammars.plain import PlainGrammars
from oruel.types import SamplingParams, Tool
from tests.constraints import oracle
from tests.constraints.documents import DocumentPlan, chosen_tokens, document_plans, validity
from tests.constraints.schema_strategies import SchemaCase, schema_cases
from tests.constraints.test_grammar import TOKENS
from tests.constraints.writers import WRITERS
from tests.text.vocabularies import ByteVocabulary

BUDGET = 600
BEGIN, END = HERMES.begin, HERMES.end
# No grammar holds these: the second key depends on the first, and one of them has to be there.
DEPENDENT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}},
    "additionalProperties": False,
    "dependentRequired": {"a": ["b"]},
    "minProperties": 1,
}
WITH_TEXT = {
    **DEPENDENT,
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "text": {"type": "string"}},
}


def spec_of(*tools: Tool, must: bool = True, state: State = State.TEXT, markers: Markers | None = None) -> RulesSpec:
    return PlainGrammars({}, markers, ()).calls(HERMES, tools, state, must=must, several=True)


def compiled(tokens: TokenTable, spec: RulesSpec) -> GrammarConstraint | CallsConstraint:
    work, outcome = compile_calls(tokens, spec, BUDGET, BUDGET), list[GrammarConstraint | CallsConstraint]()

    def run() -> Generator[float, None, None]:
        outcome.append((yield from work))

    assert all(seconds > 0 for seconds in run())
    return outcome[0]


def refused(constraint: GrammarConstraint | CallsConstraint, tokens: Sequence[int]) -> int | None:
    """The place of the first token that is refused; None if none is."""
    for place, token in enumerate(tokens):
        assert constraint.allows(token), place
        if (decided := constraint.enforce_limits(token)) != token:
            assert decided == REFUSED
            return place
        constraint.accept(token)
    return None


def bytes_of(text: str) -> list[int]:
    return [TOKENS.single[byte] for byte in text.encode()]


def call(arguments: str, name: str = "f") -> str:
    return f'{name}", "arguments": {arguments}'


@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema_cases(), st.lists(document_plans(), min_size=1, max_size=2))
def test_every_call_has_valid_arguments_but_for_what_is_named(case: SchemaCase, plans: list[DocumentPlan]) -> None:
    schema = call_schema(case.schema)
    try:
        with panics_refused():
            named = left_out_of_arguments(schema).keywords
            spec = spec_of(Tool("other", "", DEPENDENT), Tool("f", "", schema))
            constraints = [compiled(TOKENS, spec) for _ in plans]
    except SchemaRefused:
        event("refused")
        return
    for plan, constraint in zip(plans, constraints, strict=True):
        for name, arguments in written_calls(constraint, schema, plan):
            found = validity(schema, named, arguments) if name == "f" else validity(DEPENDENT, (), arguments)
            event(f"{name}: {found}")
            assert found in {"valid", "valid but for what is named"}, f"{arguments}, {named} named"


def written_calls(
    constraint: GrammarConstraint | CallsConstraint, schema: dict[str, Any], plan: DocumentPlan
) -> list[tuple[str, Any]]:
    """The names and arguments of the calls that end within the budget."""
    text = bytearray()
    for token, _ in chosen_tokens(TOKENS, schema, constraint, BUDGET, plan, text):
        text += TOKENS.pieces[token]
    ended = text.split(b"\n</tool_call>")[:-1]
    read = [oracle.read(bytes(call).partition(b"<tool_call>\n")[2]) for call in ended]
    return [(call["name"], call["arguments"]) for call in read]


@pytest.mark.parametrize("writer", WRITERS)
def test_what_no_grammar_holds_is_held_in_arguments(writer: str) -> None:
    seen = 0
    for seed in range(10):
        plan = DocumentPlan(0, writer, SamplingParams(seed=seed))
        constraint = compiled(TOKENS, spec_of(Tool("f", "", DEPENDENT)))
        for _, arguments in written_calls(constraint, DEPENDENT, plan):
            seen += 1
            assert arguments
            assert "a" not in arguments or "b" in arguments
    assert seen


@pytest.mark.parametrize(
    ("arguments", "at"),
    [('{"a": 1, "b": 2}', None), ('{"a": 1}', 7), ("{}", 1), ('{"b": 1}', None), ('{"a": 1, "c": 2}', 10)],
)
def test_the_token_that_makes_arguments_invalid_is_refused(arguments: str, at: int | None) -> None:
    head = BEGIN + call("")
    constraint = compiled(TOKENS, spec_of(Tool("f", "", DEPENDENT)))
    assert refused(constraint, bytes_of(head + arguments)) == (None if at is None else len(head) + at)


def test_each_of_several_calls_is_checked() -> None:
    first = BEGIN + call('{"a": 1, "b": 2}') + "}\n</tool_call>\n" + BEGIN + call("")
    constraint = compiled(TOKENS, spec_of(Tool("f", "", DEPENDENT)))
    assert refused(constraint, bytes_of(first + '{"a": 1}')) == len(first) + 7


def test_a_function_is_checked_by_its_own_schema() -> None:
    tools = Tool("f", "", {**DEPENDENT, "dependentRequired": {"c": ["b"]}}), Tool("ff", "", DEPENDENT)
    for name, at in (("f", None), ("ff", 7)):
        head = BEGIN + call("", name)
        assert refused(compiled(TOKENS, spec_of(*tools)), bytes_of(head + '{"a": 1}')) == (at and len(head) + at)


def test_the_text_of_a_call_in_an_argument_or_in_reasoning_is_no_call() -> None:
    quoted = json.dumps({"text": BEGIN + call('{"a": 1}')})
    assert refused(compiled(TOKENS, spec_of(Tool("f", "", WITH_TEXT))), bytes_of(BEGIN + call(quoted) + END)) is None
    spec = spec_of(Tool("f", "", DEPENDENT), state=State.REASONING, markers=Markers("<think>", "</think>"))
    before = "I could write " + BEGIN + call('{"a": 1}') + ".</think>" + BEGIN + call("")
    assert refused(compiled(TOKENS, spec), bytes_of(before + '{"a": 1}')) == len(before) + 7


@pytest.mark.parametrize(
    ("piece", "is_refused"), [(": {}", True), (': {"a', False), (': {"a": 1}', True), (': {"b": 1}}', False)]
)
def test_a_token_with_the_beginning_of_arguments_is_checked(piece: str, is_refused: bool) -> None:
    tokens = TokenTable(ByteVocabulary([piece.encode()]))
    constraint = compiled(tokens, spec_of(Tool("f", "", DEPENDENT)))
    head = (BEGIN + call("")).removesuffix(": ")
    assert refused(constraint, [*head.encode(), 257]) == (len(head) if is_refused else None)


def test_a_call_is_not_closed_before_the_budget_ends() -> None:
    constraint = compiled(TOKENS, spec_of(Tool("f", "", WITH_TEXT)))
    assert refused(constraint, bytes_of(BEGIN + call('{"text": "' + "a" * BUDGET))) is None
    assert not constraint.is_closing


def test_a_schema_whose_grammar_is_refused_is_checked_in_arguments() -> None:
    patterns = {"^a": {"type": "integer"}, "b$": {"minimum": 3}}
    schema = {"type": "object", "patternProperties": patterns, "additionalProperties": False}
    assert left_out_of_arguments(schema) == ((), ())
    spec = spec_of(Tool("other", "", DEPENDENT), Tool("f", "", schema))
    with pytest.raises(SchemaRefused):
        TOKENS.matcher(spec.grammar)
    head = BEGIN + call("")
    assert refused(compiled(TOKENS, spec), bytes_of(head + '{"ab": 3, "a": 1}')) is None
    assert refused(compiled(TOKENS, spec), bytes_of(head + '{"ab": 2, ')) == len(head) + 8
    assert refused(compiled(TOKENS, spec), bytes_of(BEGIN + call('{"a": 1}', "other"))) is not None
