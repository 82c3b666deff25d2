"""finish_reason for every combination of text, calls, reasoning, stop sequences and budgets."""

import pytest

from oruel.engine.protocol import Ending, TokenOutput
from oruel.text.answer.choice import ChoiceText
from oruel.text.answer.plain_reader import PlainReader
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.reasoning import State
from oruel.types import FinishReason
from tests.text.answer.test_plain_reader import FORMATS, ONE_CALL, THINK, TOOLS, TWO_CALLS

SAYS = "I see. "


def finish(text: str, ending: Ending, stop: tuple[str, ...], state: State, form: ToolFormat, size: int) -> FinishReason:
    """The finish_reason of a text in tokens of `size` characters; the end token is separate."""
    pieces = [text[start : start + size].encode() for start in range(0, len(text), size)] + [b""]
    choice = ChoiceText(pieces.__getitem__, stop, reader=PlainReader(THINK, state, form, TOOLS))
    last = len(pieces) - 1 if ending == "stop" else len(pieces) - 2
    for place in range(last + 1):
        choice.feed(TokenOutput(0, place, ending if place == last else None))
    assert choice.finish
    return choice.finish


def cases(name: str) -> list[tuple[str, Ending, FinishReason]]:
    one, form = ONE_CALL[name], FORMATS[name]
    before = SAYS if form.marker else ""
    found: list[tuple[str, Ending, FinishReason]] = [
        (SAYS, "stop", "stop"),
        (SAYS, "length", "length"),
        (before + one, "stop", "tool_calls"),
        (before + one, "complete", "tool_calls"),
        (before + one, "length", "tool_calls"),
        (before + one[:-1], "length", "length"),
        (before + one[: len(one) // 2], "length", "length"),
        (before + form.begin, "length", "length"),
    ]
    if name in TWO_CALLS:
        two = TWO_CALLS[name]
        behind = len(two.removeprefix(one)) - len(two.removeprefix(one).lstrip())
        found += [(before + two, "stop", "tool_calls"), (before + two, "length", "tool_calls")]
        found += [(before + two[: len(one) + behind], "length", "tool_calls")]
        # From its first letter on, a second call counts as incomplete.
        found += [(before + two[:cut], "length", "length") for cut in range(len(one) + behind + 1, len(two))]
    return found


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("reasons", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_the_finish_reason_is_right_in_every_combination(name: str, reasons: bool, size: int) -> None:
    state, thought = (State.REASONING, f"I see. {ONE_CALL[name]}</think>\n\n") if reasons else (State.TEXT, "")
    for text, ending, expected in cases(name):
        for stop in [(), ("weather", "tool", "days")]:
            assert finish(thought + text, ending, stop, state, FORMATS[name], size) == expected, (text, ending, stop)
        # Stop sequences match content only.
        stopped = "stop" if text.startswith(SAYS) else expected
        assert finish(thought + text, ending, ("see",), state, FORMATS[name], size) == stopped, (text, ending)
    if reasons:
        assert finish(thought[:-4], "length", ("see",), state, FORMATS[name], size) == "length"
