"""Reasoning, content and calls are separated regardless of chunking, and contain no markers."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.text.answer.plain_reader import PlainReader
from oruel.text.answer.reader import Segment
from oruel.text.arguments.tagged import TagSyntax
from oruel.text.formats.calls import HERMES, ToolFormat
from oruel.text.formats.reasoning import Markers, State
from oruel.types import Tool

THINK = Markers("<think>", "</think>")
WEATHER = Tool(
    "weather", "", {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
)
NOW = Tool("now")
TOOLS = {"weather": WEATHER, "now": NOW}
LLAMA = ToolFormat('{"name": "', '", "parameters": ', "}")
MISTRAL = ToolFormat("[TOOL_CALLS]", "[ARGS]", "", "[TOOL_CALLS]")
CODER = ToolFormat(
    "<tool_call>\n<function=",
    "",
    ">\n</function>\n</tool_call>",
    ">\n</function>\n</tool_call>\n<tool_call>\n<function=",
    TagSyntax(">\n<parameter=", ">\n", "\n</parameter", ">\n"),
)
FORMATS = {"Hermes": HERMES, "Llama": LLAMA, "Mistral": MISTRAL, "Qwen3-Coder": CODER}

ONE_CALL = {
    "Hermes": '<tool_call>\n{"name": "weather", "arguments": {"city": "}{\\"", "days": 3}}\n</tool_call>',
    "Llama": '{"name": "weather", "parameters": {"city": "}{\\"", "days": 3}}',
    "Mistral": '[TOOL_CALLS]weather[ARGS]{"city": "}{\\"", "days": 3}',
    "Qwen3-Coder": (
        '<tool_call>\n<function=weather>\n<parameter=city>\n}{"\n</parameter>\n<parameter=days>\n3\n</parameter>\n'
        "</function>\n</tool_call>"
    ),
}
TWO_CALLS = {
    "Hermes": ONE_CALL["Hermes"] + '\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    "Mistral": ONE_CALL["Mistral"] + "[TOOL_CALLS]now[ARGS]{}",
    "Qwen3-Coder": ONE_CALL["Qwen3-Coder"] + "\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
}
PIECES = [
    "<tool_call>", '\n{"name": "', "weather", '", "arguments": ', "{", "}", '"', "</tool_call>", "</think>", "\n",
    "[TOOL_CALLS]", "[ARGS]", "<function=", ">\n<parameter=", "city", "é",
]  # fmt: skip
ARGUMENTS = {"city": '}{"', "days": 3}


def read(
    text: str, seed: int, state: State = State.TEXT, form: ToolFormat | None = HERMES, *, is_cut: bool = False
) -> tuple[PlainReader, list[Segment]]:
    """The text in pieces of random lengths."""
    reader, chance, segments = PlainReader(THINK, state, form, TOOLS), random.Random(seed), list[Segment]()
    while text:
        length = chance.choice([1, 1, 2, 3, 5, 8, 40])
        segments += reader.feed(text[:length])
        text = text[length:]
    return reader, segments + reader.finish(is_cut=is_cut)


def parts(segments: list[Segment]) -> tuple[str, str, list[tuple[str, str]]]:
    """Reasoning, content and calls, each joined."""
    calls: list[tuple[str, str]] = []
    for segment in segments:
        for piece in segment.calls:
            if piece.name:
                calls.append((piece.name, ""))
            name, arguments = calls[piece.index]
            calls[piece.index] = (name, arguments + piece.arguments)
    reasoning, content = ("".join(getattr(one, name) for one in segments) for name in ("reasoning", "content"))
    return reasoning, content, calls


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("seed", range(20))
def test_a_call_is_read_regardless_of_chunking(name: str, seed: int) -> None:
    reader, segments = read(ONE_CALL[name], seed, form=FORMATS[name])
    reasoning, content, [(called, arguments)] = parts(segments)
    assert (reasoning, content, called, json.loads(arguments)) == ("", "", "weather", ARGUMENTS)
    assert reader.has_complete_calls


@pytest.mark.parametrize("name", TWO_CALLS)
@pytest.mark.parametrize("seed", range(20))
def test_two_calls_are_read_as_two(name: str, seed: int) -> None:
    reader, segments = read(TWO_CALLS[name], seed, form=FORMATS[name])
    _, content, calls = parts(segments)
    assert [(called, json.loads(arguments)) for called, arguments in calls] == [("weather", ARGUMENTS), ("now", {})]
    assert (content, reader.has_complete_calls) == ("", True)
    ids = [piece.id for segment in segments for piece in segment.calls if piece.name]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("name", ["Hermes", "Mistral", "Qwen3-Coder"])
@pytest.mark.parametrize("seed", range(10))
def test_newlines_between_content_and_a_call_are_dropped(name: str, seed: int) -> None:
    _, segments = read(f"I'll look <it> up.\n\n{ONE_CALL[name]}", seed, form=FORMATS[name])
    _, content, calls = parts(segments)
    assert (content, len(calls)) == ("I'll look <it> up.", 1)


@pytest.mark.parametrize("seed", range(10))
def test_text_that_resembles_a_call_is_content(seed: int) -> None:
    for text in ["a <tool", "a <tool_call> b", '{"name": "x"', " \n", "x \n <tool_cal", "[TOOL_CALL"]:
        for form in FORMATS.values():
            if form.trigger not in text or (form.marker and form.begin not in text):
                assert parts(read(text, seed, form=form)[1]) == ("", text, [])


@pytest.mark.parametrize("name", FORMATS)
def test_a_cut_call_is_incomplete(name: str) -> None:
    whole = ONE_CALL[name]
    for length in range(len(whole)):
        reader, segments = read(whole[:length], length, form=FORMATS[name])
        _, content, calls = parts(segments)
        assert not reader.has_complete_calls or name == "Mistral"
        assert content == "" or FORMATS[name].trigger.startswith(content)
        if calls and name != "Qwen3-Coder":
            assert json.dumps(ARGUMENTS).startswith(calls[0][1])


@pytest.mark.parametrize("name", FORMATS)
def test_only_a_possible_marker_is_dropped_at_the_cut(name: str) -> None:
    form = FORMATS[name]
    for length in range(1, len(form.begin)):
        # Whether a call would have followed is unknown. A leaked marker does more harm than a missing bracket.
        for before in ["", "\n"] if form.marker is None else ["", "\n", "a < b", "Well.\n\n"]:
            text = before + form.begin[:length]
            assert parts(read(text, length, form=form, is_cut=True)[1]) == ("", before.rstrip(), [])
    for text in ["Hello", "a < b \n", "x <b> y"]:
        assert parts(read(text, 1, form=form, is_cut=True)[1]) == ("", text, [])
    assert parts(read("\n<thin", 1, State.EITHER, form, is_cut=True)[1]) == ("", "", [])
    assert parts(read("I see. </th", 1, State.REASONING, form, is_cut=True)[1]) == ("I see.", "", [])


@pytest.mark.parametrize("seed", range(20))
def test_a_call_inside_reasoning_is_reasoning(seed: int) -> None:
    thought = f"Should I?\n{ONE_CALL['Hermes']} no </thin"
    for state, opening in [(State.REASONING, ""), (State.EITHER, "\n<think>")]:
        reader, segments = read(f"{opening}{thought}</think>\n\nHello <b>", seed, state)
        assert parts(segments) == (thought, "Hello <b>", [])
        assert not reader.has_complete_calls
    reader, segments = read(f"{thought}</think>\n\n{ONE_CALL['Hermes']}", seed, State.REASONING)
    reasoning, content, calls = parts(segments)
    assert (reasoning, content, len(calls), reader.has_complete_calls) == (thought, "", 1, True)


def test_an_answer_without_optional_reasoning_is_content() -> None:
    for text in ["Hello", "<thin", "<b>x", "  <thing>"]:
        assert parts(read(text, 1, State.EITHER)[1]) == ("", text, [])


@settings(deadline=None)
@given(
    st.text(st.sampled_from('<>/tool_calthink{}"\n[]ARGS:, x'), max_size=60),
    st.integers(),
    st.sampled_from(list(FORMATS)),
)
def test_no_text_is_lost_without_a_call(text: str, seed: int, name: str) -> None:
    form = FORMATS[name]
    if form.trigger in text or (form.marker is None and text.lstrip().startswith(form.begin)):
        return
    reader, segments = read(text, seed, form=form)
    assert parts(segments) == ("", text, [])
    assert all(one.end <= other.end for one, other in pairwise(segments))
    assert not reader.has_complete_calls


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(PIECES), max_size=14),
    st.integers(),
    st.sampled_from(list(FORMATS)),
    st.sampled_from(list(State)),
)  # fmt: skip
def test_segments_do_not_depend_on_chunking(pieces: list[str], seed: int, name: str, state: State) -> None:
    text = "".join(pieces)
    one, other = (parts(read(text, s, state, FORMATS[name])[1]) for s in (seed, seed + 1))
    assert one == other
