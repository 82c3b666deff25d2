"""Listed families: the grammar allows exactly what their models write, and the reader reads it back."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import GrammarSpec, JsonObjectSpec, schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.engine.protocol import TokenOutput
from oruel.errors import InvalidParameter
from oruel.text.answer.choice import ChoiceText
from oruel.text.dialect import Dialect
from oruel.text.formats.families import LFM2
from oruel.text.prompt.encoder import PromptEncoder
from oruel.text.prompt.template import ChatTemplate
from oruel.types import ChatRequest, ChoicePiece, Message, ResponseFormat, SamplingParams, Tool, ToolCall, ToolChoice
from tests.text.formats.spoken import SPOKEN, Call, Spoken, tokenize
from tests.text.vocabularies import ByteVocabulary, Characters

END = 256
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 0, "maximum": 99},
        "unit": {"type": "string", "enum": ["c", "f"]},
        "sure": {"type": "boolean"},
    },
    "required": ["city"],
    "additionalProperties": False,
}
NOW = {"type": "object", "properties": {}, "additionalProperties": False}
TOOLS = (Tool("weather", "Weather.", WEATHER), Tool("now", "Time.", NOW))
SCHEMAS = {"weather": WEATHER, "now": NOW}
CALLS: list[Call] = [("weather", {"city": 'Bern "é" 😀', "days": 3, "unit": "c", "sure": True}), ("now", {})]
THOUGHT, ASIDE, ANSWER = "Should I? né <b> 😀", "Let me see: é.", "It rains, né 😀\n"

both = pytest.mark.parametrize("special", [False, True], ids=["plain markers", "control tokens"])
each = pytest.mark.parametrize("spoken", SPOKEN, ids=lambda spoken: spoken.family)


def make_request(
    mode: Any = "auto", *, names: Sequence[str] = ("weather", "now"), wanted: ResponseFormat | None = None
) -> ChatRequest:
    tools, choice = (TOOLS, ToolChoice(mode, tuple(names))) if mode != "none" else ((), ToolChoice())
    return ChatRequest(
        "",
        "",
        (Message("user", "?"),),
        SamplingParams(),
        tools=tools,
        tool_choice=choice,
        response_format=wanted or ResponseFormat(),
    )


class Model:
    """A vocabulary of bytes, with or without control tokens for the markers."""

    def __init__(self, spoken: Spoken, *, special: bool) -> None:
        self.vocabulary = ByteVocabulary(control=spoken.control if special else [])
        self.tokens = TokenTable(self.vocabulary)
        self.dialect: Dialect = spoken.dialect(self.vocabulary.control_tokens)
        self.state = self.dialect.state_after(spoken.prompt)
        self._texts = {token: text.encode() for text, token in self.vocabulary.control_tokens.items()}

    def tokenize(self, text: str) -> list[int]:
        return tokenize(text, self.vocabulary.control_tokens)

    def shown(self, token: int) -> bytes:
        return self._texts.get(token) or self.vocabulary.piece(token)

    def spec(self, request: ChatRequest) -> GrammarSpec:
        spec = self.dialect.constraint(request, self.state)
        if isinstance(spec, JsonObjectSpec):
            # The same documents, under the constraint of the other formats.
            return schema_spec({"type": "object"})
        assert isinstance(spec, GrammarSpec)
        return spec

    def constraint(self, request: ChatRequest, budget: int = 10_000) -> GrammarConstraint:
        return GrammarConstraint(self.tokens, self.spec(request), budget)

    def read(
        self, request: ChatRequest, tokens: Sequence[int], last: Any = "stop", *, at_once: bool = False
    ) -> tuple[list[ChoicePiece], str]:
        """The pieces of an answer of these tokens, and its finish reason. With `at_once`, all tokens but the last are
        read together, which takes less time.
        """
        choice = ChoiceText(self.shown, reader=self.dialect.reader(request, self.state))
        before = [TokenOutput(0, token) for token in tokens[:-1]]
        groups = [before] if at_once else [[output] for output in before]
        pieces = [choice.feed(*group) for group in groups if group]
        if last == "length":
            pieces.append(choice.feed(TokenOutput(0, tokens[-1], "length")))
        else:
            pieces += [choice.feed(TokenOutput(0, token)) for token in tokens[-1:]]
            pieces.append(choice.feed(TokenOutput(0, END, "stop")))
        assert choice.finish
        return pieces, choice.finish


def may(constraint: GrammarConstraint, token: int) -> bool:
    return bool(constraint.mask()[token // 8] >> (token % 8) & 1)


def may_end(constraint: GrammarConstraint) -> bool:
    return constraint.is_complete or may(constraint, END)


def allows(constraint: GrammarConstraint, tokens: Sequence[int]) -> bool:
    """Whether all tokens are allowed. Accepts them up to the first that isn't."""
    for token in tokens:
        if constraint.is_complete or not may(constraint, token):
            return False
        constraint.accept(token)
    return True


def parts(pieces: Sequence[ChoicePiece]) -> tuple[str, str, list[tuple[str, str]]]:
    """Reasoning, content and calls, each joined."""
    calls: list[tuple[str, str]] = []
    for piece in (delta for released in pieces for delta in released.tool_calls):
        if piece.name:
            calls.append((piece.name, ""))
        name, arguments = calls[piece.index]
        calls[piece.index] = (name, arguments + piece.arguments)
    return "".join(piece.reasoning for piece in pieces), "".join(piece.text for piece in pieces), calls


def answers(spoken: Spoken) -> list[tuple[str, tuple[str, str, list[Call]]]]:
    """Whole answers and their parts."""
    before, thought, aside = "", "", ""
    if spoken.thinks:
        before, thought = spoken.thinks(THOUGHT), THOUGHT
    found: list[tuple[str, tuple[str, str, list[Call]]]] = [
        (spoken.answers(ANSWER), ("", ANSWER, [])),
        (before + spoken.answers(ANSWER), (thought, ANSWER, [])),
    ]
    for write in spoken.calls:
        found.append((before + write(CALLS[:1]), (thought, "", CALLS[:1])))
        if spoken.says:
            aside = spoken.says(ASIDE)
            found.append((before + aside + write(CALLS[:1]), (thought, ASIDE, CALLS[:1])))
        if spoken.many:
            found.append((write(CALLS), ("", "", CALLS)))
    return found


@both
@each
def test_parts_are_separated_and_markers_dropped(spoken: Spoken, special: bool) -> None:
    model = Model(spoken, special=special)
    for text, (thought, content, calls) in answers(spoken):
        pieces, finish = model.read(make_request(), model.tokenize(text))
        reasoning, said, called = parts(pieces)
        assert (reasoning.strip(), said, finish) == (thought, content, "tool_calls" if calls else "stop"), text
        assert [(name, json.loads(arguments)) for name, arguments in called] == calls, text


@both
@each
def test_a_cut_answer_gives_the_beginning_of_each_part(spoken: Spoken, special: bool) -> None:
    model = Model(spoken, special=special)
    for text, _ in answers(spoken):
        tokens = model.tokenize(text)
        whole = parts(model.read(make_request(), tokens)[0])
        for length in range(1, len(tokens) + 1):
            pieces, finish = model.read(make_request(), tokens[:length], "length", at_once=True)
            # What was released before the cut. The cut may leave half a character, or half a plain-text marker.
            reasoning, said, called = parts(pieces if special and length == len(tokens) else pieces[:-1])
            made = parts(pieces)[2]
            if finish == "tool_calls":
                assert made
                assert made == whole[2][: len(made)]
            else:
                assert finish == "length"
                assert length < len(tokens) or not made
            assert whole[0].startswith(reasoning)
            assert whole[1].startswith(said)
            assert len(called) <= len(whole[2])
            for (name, arguments), (whole_name, whole_arguments) in zip(called, whole[2], strict=False):
                assert name == whole_name
                assert whole_arguments.startswith(arguments)


@both
@each
def test_auto_allows_what_the_models_write(spoken: Spoken, special: bool) -> None:
    model = Model(spoken, special=special)
    for text, _ in answers(spoken):
        constraint = model.constraint(make_request())
        assert allows(constraint, model.tokenize(text)), text
        assert may_end(constraint), text


@both
@each
@pytest.mark.parametrize("mode", ["required", "named"])
def test_a_required_or_named_call_is_enforced(spoken: Spoken, special: bool, mode: str) -> None:
    model = Model(spoken, special=special)
    request = make_request("required", names=["weather"] if mode == "named" else ["weather", "now"])
    before = spoken.thinks(THOUGHT) if spoken.thinks else ""
    for write in spoken.calls:
        for text in (write(CALLS[:1]), before + write(CALLS[:1])):
            constraint = model.constraint(request)
            assert not may_end(constraint)
            assert allows(constraint, model.tokenize(text)), text
            assert may_end(constraint)
        assert allows(model.constraint(request), model.tokenize(write(CALLS[1:]))) is (mode == "required")
        assert not allows(model.constraint(request), model.tokenize(write([("later", {})])))
    assert not allows(model.constraint(request), model.tokenize(spoken.answers(ANSWER)))


@both
@each
def test_arguments_that_violate_the_schema_are_blocked(spoken: Spoken, special: bool) -> None:
    model = Model(spoken, special=special)
    wrong: list[dict[str, Any]] = [
        {},
        {"city": 3},
        {"city": "x", "days": 100},
        {"city": "x", "unit": "k"},
        {"city": "x", "town": "y"},
    ]
    for write in spoken.calls:
        for arguments in wrong if spoken.quotes else [each for each in wrong if each != {"city": 3}]:
            assert not allows(model.constraint(make_request()), model.tokenize(write([("weather", arguments)]))), (
                arguments
            )


def test_calls_use_control_tokens_and_message_texts_do_not() -> None:
    start, end = "<|tool_call_start|>", "<|tool_call_end|>"
    vocabulary = Characters([start, end, "<|im_end|>"], [])
    source = "{% for message in messages %}{{ message.role }}: {{ message.content }}<|im_end|>{% endfor %}"
    encoder = PromptEncoder(vocabulary, ChatTemplate(LFM2.prelude + source))
    given = {"city": f'"{end}', "days": [3, None], "sure": True, "place": {"a": False}}
    call = ToolCall("1", "weather", json.dumps(given))
    tokens = encoder.encode([Message("user", start), Message("assistant", "Well. ", tool_calls=(call, call))], {})
    assert [tokens.count(vocabulary.control_tokens[text]) for text in (start, end, "<|im_end|>")] == [1, 1, 2]
    written = f'weather(city="\\"{end}", days=[3, None], sure=True, place={{"a": False}})'
    assert f"assistant: Well. {start}[{written}, {written}]{end}<|im_end|>" in vocabulary.text(tokens)


@pytest.mark.parametrize("name", ["all", "user", "self"])
def test_a_function_named_like_a_part_is_refused(name: str) -> None:
    refusals = {spoken.family: refusal(spoken, name) for spoken in SPOKEN}
    refused = [family for family, message in refusals.items() if message]
    assert all(f'"{name}"' in refusals[family] for family in refused)
    assert refused == (["Functionary 3.2"] if name == "all" else ["Muse Glimmer"])


def refusal(spoken: Spoken, name: str) -> str:
    request = replace(make_request(), tools=(Tool(name),), tool_choice=ToolChoice("auto", (name,)))
    try:
        Model(spoken, special=True).spec(request)
    except InvalidParameter as error:
        return error.message
    return ""


@each
@settings(deadline=None, max_examples=60)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"), max_size=30),
    st.integers(0, 99) | st.none(),
    st.booleans(),
    st.booleans(),
)
def test_arguments_read_back_as_written(spoken: Spoken, city: str, days: int | None, sure: bool, special: bool) -> None:
    model = Model(spoken, special=special)
    if any(text in city for text in (*model.dialect.texts, *spoken.control) if text.strip()):
        return
    arguments = {"city": city, **({} if days is None else {"days": days}), "sure": sure}
    for write in spoken.calls:
        tokens = model.tokenize(write([("weather", arguments)]))
        assert allows(model.constraint(make_request()), tokens)
        pieces, finish = model.read(make_request(), tokens)
        [(name, read)] = parts(pieces)[2]
        assert (name, json.loads(read), finish) == ("weather", arguments, "tool_calls")


@both
@each
def test_random_answers_are_declared_calls_or_text(spoken: Spoken, special: bool) -> None:
    model = Model(spoken, special=special)
    for seed in range(30):
        chance = random.Random(seed)
        request = make_request("required") if seed % 2 else make_request()
        constraint, tokens = model.constraint(request), list[int]()
        while len(tokens) < 600 and not constraint.is_complete:
            token = drawn(constraint, model.vocabulary.size, chance)
            if token == END:
                break
            constraint.accept(token)
            tokens.append(token)
        whole = len(tokens) < 600
        if not tokens:
            continue
        _, _, called = parts(model.read(request, tokens, "stop" if whole else "length")[0])
        if whole:
            assert called or seed % 2 == 0, f"seed {seed}"
            for name, arguments in called:
                jsonschema.validate(json.loads(arguments), SCHEMAS[name])


def drawn(constraint: GrammarConstraint, size: int, chance: random.Random) -> int:
    """An allowed token; those that close something are twice as likely."""
    bits = np.unpackbits(np.frombuffer(constraint.mask(), np.uint8), bitorder="little")
    allowed: list[int] = bits[:size].nonzero()[0].tolist()
    closing = [token for token in allowed if token > 255 or chr(token) in "<>\"'}]),:|\n"]
    return chance.choice(closing if closing and chance.random() < 0.5 else allowed)


@both
@each
@pytest.mark.parametrize("wanted", [ResponseFormat("json_object"), ResponseFormat("json_schema", WEATHER)])
def test_a_document_after_free_reasoning_is_complete(spoken: Spoken, special: bool, wanted: ResponseFormat) -> None:
    model = Model(spoken, special=special)
    request = make_request("none", wanted=wanted)
    document = json.dumps({"city": "Bern é", "days": 3}, ensure_ascii=False)
    before = spoken.thinks(THOUGHT) if spoken.thinks and model.spec(request).reasoning_end else ""
    constraint = model.constraint(request)
    assert allows(constraint, model.tokenize(before + spoken.answers(document)))
    for budget in (160, 240):
        for seed in range(3):
            chance, tokens = random.Random(seed), list[int]()
            constraint = model.constraint(request, budget)
            assert constraint.can_close
            while len(tokens) < budget and not constraint.is_complete:
                token = (
                    constraint.forced[0]
                    if constraint.forced
                    else constraint.enforce_limits(drawn(constraint, model.vocabulary.size, chance))
                )
                if token == END:
                    break
                constraint.accept(token)
                tokens.append(token)
            _, content, _ = parts(model.read(request, tokens, "length")[0])
            if wanted.type == "json_schema":
                jsonschema.validate(json.loads(content), WEATHER)
            assert isinstance(json.loads(content), dict), f"seed {seed}"
