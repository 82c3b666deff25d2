"""What a stream's text and events show."""

import pytest

from oruel.verify.checks.choices import judge
from oruel.verify.checks.streaming import is_torn, judge_equal, judge_finish
from oruel.verify.reply import Chunk, Json, Reply, StreamReply


def stream_of(*choices: Json) -> StreamReply:
    chunks = tuple(Chunk({"choices": [{"index": 0, **choice}]}, 0.0) for choice in choices)
    return StreamReply({}, 200, {}, chunks, done=True)


def text(content: str) -> Json:
    return {"delta": {"content": content}, "finish_reason": None}


STOP: Json = {"delta": {}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("joined", "verdict"),
    [
        ("a b\n\nc", "honoured: "),
        ("a b\n\n", "differs: now, the end of the text is missing"),
        ("a b\n\ncd", "differs: now, text is added after the end"),
        ("a bc", "differs: now, white space differs from the text unstreamed"),
        ("x", "differs: now, the text differs from the text unstreamed"),
    ],
)
def test_the_joined_text_names_the_fault(joined: str, verdict: str) -> None:
    unstreamed = Reply({}, 200, {}, {"choices": [{"message": {"content": "a b\n\nc"}}]})
    found = judge_equal(stream_of(text(joined[:2]), text(joined[2:])), unstreamed, "now")
    assert f"{found.outcome}: {found.how}" == verdict


@pytest.mark.parametrize(
    ("choices", "verdict"),
    [
        ([text("a"), STOP], "honoured: "),
        ([text("a"), {**text("b"), "finish_reason": "length"}], "honoured: "),
        ([text("a")], "differs: no chunk carries a finish_reason"),
        ([text("a"), STOP, STOP], "differs: finish_reason is sent more than once"),
        ([text("a"), STOP, text("b")], "differs: text follows finish_reason"),
        ([text("a"), STOP, text("")], "differs: a chunk follows the one with finish_reason"),
        ([], "can't tell: choice 0 is missing"),
    ],
)
def test_a_choice_finishes_once_and_last(choices: list[Json], verdict: str) -> None:
    found = judge_finish(stream_of(*choices), 0)
    assert f"{found.outcome}: {found.how}" == verdict


def test_half_a_surrogate_pair_is_a_torn_character() -> None:
    assert is_torn("\ud83d")
    assert not is_torn("🙂")


@pytest.mark.parametrize(
    ("indices", "verdict"),
    [
        ([1, 0, 2], "honoured: "),
        ([0], "ignored: there is a single choice"),
        ([0, 1], "differs: the number of choices isn't n"),
        ([0, 0, 1], "differs: the indices of the choices aren't 0 to n − 1"),
        ([0, None, 1], "differs: the indices of the choices aren't 0 to n − 1"),
    ],
)
def test_choices_are_counted_and_numbered(indices: list[int | None], verdict: str) -> None:
    found = judge(indices, 3, "")
    assert f"{found.outcome}: {found.how}" == verdict
