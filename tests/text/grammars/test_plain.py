"""What an answer with tools may contain: free text, and after the marker only a declared call."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import RulesSpec
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import WorkBudget
from oruel.text.formats.calls import HERMES, ToolFormat
from oruel.text.formats.reasoning import Markers, State
from oruel.text.grammars.plain import PlainGrammars
from oruel.types import ResponseFormat, Tool
from tests.text.vocabularies import ByteVocabulary

THINK = Markers("<think>", "</think>")
END = 256
WEATHER = Tool(
    "weather",
    "",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
)
TOOLS = [WEATHER, Tool("now", "", {"type": "object", "additionalProperties": False})]
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>'
LLAMA = ToolFormat('{"name": "', '", "parameters": ', "}")


class Answer:
    """An answer under a constraint, written byte by byte."""

    def __init__(
        self, *, must: bool = False, several: bool = True, state: State = State.TEXT, form: ToolFormat = HERMES
    ) -> None:
        tokens = TokenTable(ByteVocabulary())
        markers = THINK if state is not State.TEXT else None
        made = PlainGrammars({}, markers, list(b"</think>")).calls(form, TOOLS, state, must=must, several=several)
        self._held = GrammarConstraint(tokens, made, 10_000)

    def allows(self, text: str) -> bool:
        """Whether the whole text is allowed. Writes it up to the first byte that isn't."""
        for byte in text.encode():
            if not self._may(byte):
                return False
            self._held.accept(byte)
        return True

    @property
    def may_end(self) -> bool:
        return self._held.is_complete or self._may(END)

    def _may(self, token: int) -> bool:
        return bool(self._held.mask()[token // 8] >> (token % 8) & 1)


def test_auto_leaves_text_free_before_the_marker() -> None:
    for text in ["", "Hello", "a < b", "<tool", '{"name": "x"}', "<tool_cal <tool_c", "\n\n€"]:
        answer = Answer()
        assert answer.allows(text)
        assert answer.may_end
        assert answer.allows(" and on <b>")


def test_after_the_marker_only_a_declared_call_is_allowed() -> None:
    for wrong in [" ", "\n[", '\n{"name": "weathers', '\n{"name": "weather", "arguments": {"town', "\n</tool_call>"]:
        answer = Answer()
        assert answer.allows("Let me see. <tool_call>")
        assert not answer.may_end
        assert not answer.allows(wrong)
    answer = Answer()
    assert answer.allows(f"Let me see.\n{CALL}")
    assert answer.may_end


def test_several_calls_need_parallel_tool_calls() -> None:
    again = HERMES.between or ""
    rest = again.removeprefix(HERMES.end)
    several, one = Answer(), Answer(several=False)
    assert several.allows(CALL + rest + 'now", "arguments": {}}\n</tool_call>')
    assert several.may_end
    assert one.allows(CALL)
    assert one.may_end
    assert not one.allows(rest)


def test_a_required_call_begins_immediately() -> None:
    assert not Answer(must=True).allows("Hello")
    assert Answer(must=True).allows(CALL)
    assert not Answer(must=True).may_end


def test_without_a_marker_a_call_can_only_begin_the_answer() -> None:
    answer = Answer(form=LLAMA)
    assert answer.allows('{"name": "weather", "parameters": {"city": "Bern"}}')
    assert answer.may_end
    assert not Answer(form=LLAMA).allows('{"name": "wrong')
    assert Answer(form=LLAMA).allows('I mean {"name": "wrong')


@pytest.mark.parametrize(("state", "opening"), [(State.REASONING, ""), (State.EITHER, "<think>")])
@pytest.mark.parametrize("must", [False, True])
def test_reasoning_may_contain_a_call(state: State, opening: str, must: bool) -> None:
    answer = Answer(state=state, must=must)
    assert answer.allows(f"{opening}Should I? <tool_call> no, {CALL} </think")
    assert not answer.may_end
    assert answer.allows(">\n\n")
    assert answer.allows("Hello") is not must
    answer = Answer(state=state, must=must)
    assert answer.allows(f"{opening}Yes.</think>\n\n{CALL}")
    assert answer.may_end


def test_optional_reasoning_may_be_skipped() -> None:
    for text in ["Hello", "<b>", f"Well. {CALL}", CALL]:
        assert Answer(state=State.EITHER).allows(text)
    answer = Answer(state=State.EITHER)
    assert answer.allows("Well. <tool_call>")
    assert not answer.allows(" ")


@pytest.mark.parametrize("wanted", [ResponseFormat("json_object"), ResponseFormat("json_schema", {"type": "object"})])
@pytest.mark.parametrize("budget", [14, 20, 60])
def test_a_document_after_reasoning_is_complete_within_the_budget(wanted: ResponseFormat, budget: int) -> None:
    tokens = TokenTable(ByteVocabulary())
    form = PlainGrammars({}, THINK, list(b"</think>")).document(wanted, State.REASONING)
    assert isinstance(form, RulesSpec)
    constraint, written = GrammarConstraint(tokens, form, budget), bytearray()
    for _ in range(budget):
        if constraint.is_complete:
            break
        token = (
            constraint.forced[0]
            if constraint.forced
            else constraint.enforce_limits(ord("a") if constraint.mask()[12] >> 1 & 1 else ord('"'))
        )
        constraint.accept(token)
        written.append(token)
    _, closed, document = written.decode().partition("</think>")
    assert closed
    assert json.loads(document) == {} or isinstance(json.loads(document), dict)


DISTINCT = {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3}
LONG = {"type": "object", "properties": {f"key{number}": {"type": "integer"} for number in range(50)}}
LONG["required"] = [*LONG["properties"]]


@pytest.mark.parametrize("schema", [DISTINCT, LONG])
def test_a_token_of_reasoning_keeps_the_plan_of_the_document(schema: dict[str, Any]) -> None:
    tokens = TokenTable(ByteVocabulary())
    form = PlainGrammars({}, THINK, list(b"</think>")).document(ResponseFormat("json_schema", schema), State.REASONING)
    assert isinstance(form, RulesSpec)
    constraint = GrammarConstraint(tokens, form, 2_000)
    for byte in b"a long thought":
        work = WorkBudget(2_000)
        assert constraint.enforce_limits(byte, work) == byte
        assert work.left > 0
        constraint.accept(byte)
    constraint.is_closing = True
    document = bytes(constraint.forced).partition(b"</think>")[2]
    assert Draft202012Validator(schema).is_valid(json.loads(document))


NOTHING = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("parameters", "takes_keys"),
    [
        ({}, False),
        (NOTHING, False),
        ({**NOTHING, "required": [], "title": "now", "$schema": "http://json-schema.org/draft-07/schema#"}, False),
        ({**NOTHING, "additionalProperties": True}, True),
        ({"type": "object"}, True),
    ],
)
def test_a_function_without_declared_arguments_takes_none(parameters: dict[str, Any], takes_keys: bool) -> None:
    made = PlainGrammars({}, None, ()).calls(
        HERMES, [Tool("now", "", parameters)], State.TEXT, must=True, several=False
    )
    for arguments, allowed in [("{}", True), ('{"invented": 1}', takes_keys)]:
        matcher = TokenTable(ByteVocabulary()).matcher(made.grammar)
        data = list(f"{HERMES.begin}now{HERMES.middle}{arguments}{HERMES.end}".encode())
        assert (matcher.try_consume_tokens(data) == len(data)) is allowed
