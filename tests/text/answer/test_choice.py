"""Outputs of a choice. Token n has the bytes of the n-th piece; END ends the choice."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.engine.protocol import Ending, TokenOutput
from oruel.text.answer.choice import ChoiceText, merge
from oruel.types import Alternative, ChoicePiece, FinishReason, TokenLogprob

PIECES = [
    b"",
    b"a",
    b"b",
    b"ab",
    b"ba",
    b"\xc3",
    b"\xa9",
    b"\xf0\x9f",
    b"\x98\x80",
    b"\xff",
    "aé".encode(),
    b"END",
    b" ",
]
ENDS: list[FinishReason | None] = [None, "length"]


def output(piece: bytes, finish: Ending | None = None) -> TokenOutput:
    token = PIECES.index(piece)
    return TokenOutput(0, token, finish, logprob=-0.5 - token, alternatives=[(token, -0.5 - token), (0, -9.0)])


END = output(b"", "stop")


@dataclass
class Answer:
    pieces: list[ChoicePiece]
    choice: ChoiceText

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def reported(self) -> list[bytes]:
        return [entry.bytes for piece in self.pieces for entry in piece.logprobs]


def released(choice: ChoiceText, groups: list[list[TokenOutput]]) -> tuple[ChoicePiece, int]:
    """Everything released if the outputs of each group arrive together, and the token count."""
    return merge([choice.feed(*group) for group in groups]), choice.tokens


def answer(*outputs: TokenOutput, stops: tuple[str, ...] = (), top: int | None = 1) -> Answer:
    choice = ChoiceText(PIECES.__getitem__, stops, top=top)
    return Answer([choice.feed(each) for each in outputs], choice)


def released_with(pieces: list[bytes], kept: int, stop_start: int | None) -> list[bytes]:
    """The contract, literally, for the whole text: the tokens without a character inside or after the stop.

    Characters are counted by decoding every prefix of the bytes.
    """
    reported = []
    for index in range(kept):
        end = len(b"".join(pieces[: index + 1]).decode("utf-8", "replace"))
        if stop_start is None or end <= stop_start:
            reported.append(pieces[index])
    return reported


def first_stop(text: str, stops: tuple[str, ...]) -> tuple[int, int] | None:
    for end in range(1, len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return min(starts), end
    return None


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8),
    st.lists(st.sampled_from(["a", "b", "ab", "é", "bab", "\N{REPLACEMENT CHARACTER}", "😀a"]), max_size=3).map(tuple),
    st.sampled_from(["stop", "length"]),
)
def test_text_and_log_probabilities_end_before_the_first_stop(
    pieces: list[bytes], stops: tuple[str, ...], last: FinishReason
) -> None:
    outputs = [output(piece) for piece in pieces]
    outputs = [*outputs, END] if last == "stop" else [*outputs[:-1], output(pieces[-1], "length")]
    result = answer(*outputs, stops=stops)
    whole = b"".join(pieces).decode("utf-8", "replace")
    stop = first_stop(whole, stops)
    assert result.text == (whole if stop is None else whole[: stop[0]])
    assert result.choice.finish == (last if stop is None else "stop")
    assert sum(piece.finish is not None for piece in result.pieces) == 1
    kept = result.choice.tokens - (stop is None and last == "stop")
    assert result.reported == released_with(pieces, min(kept, len(pieces)), None if stop is None else stop[0])


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8),
    st.sets(st.integers(1, 8)),
    st.sampled_from([(), ("ab",), ("b", "aba")]),
    st.sampled_from([None, 1]),
    st.sampled_from(["stop", "length"]),
)
def test_grouping_outputs_does_not_change_what_is_released(
    pieces: list[bytes], ends: set[int], stops: tuple[str, ...], top: int | None, last: Ending
) -> None:
    outputs = [*map(output, pieces[:-1]), output(pieces[-1], last)]
    bounds = sorted({0, len(outputs), *(end for end in ends if end < len(outputs))})
    groups = [outputs[start:end] for start, end in pairwise(bounds)]
    alone, together = (ChoiceText(PIECES.__getitem__, stops, top=top) for _ in range(2))
    assert released(together, groups) == released(alone, [[each] for each in outputs])


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.sampled_from([(), ("ab",), ("b", "aba")]))
def test_an_entry_is_released_with_the_last_character_of_its_token(pieces: list[bytes], stops: tuple[str, ...]) -> None:
    result = answer(*map(output, pieces), END, stops=stops)
    sent, reported = "", 0
    for piece in result.pieces:
        sent += piece.text
        reported += len(piece.logprobs)
        if piece.finish is not None:
            break
        ends = [len(b"".join(pieces[: index + 1]).decode("utf-8", "replace")) for index in range(len(pieces))]
        out = [index + 1 for index, end in enumerate(ends) if end <= len(sent) and pieces[index]]
        assert reported == max(out, default=0)


def test_the_end_token_counts_but_has_no_text_and_no_entry() -> None:
    result = answer(output(b"a"), END)
    assert (result.text, result.reported, result.choice.tokens) == ("a", [b"a"], 2)
    assert result.pieces[-1] == ChoicePiece(finish="stop")


def test_a_stop_completed_by_the_last_token_allowed_is_a_stop() -> None:
    result = answer(output(b"a"), output(b"END", "length"), stops=("END",))
    assert (result.text, result.choice.finish) == ("a", "stop")


def test_text_held_for_a_stop_is_released_at_the_end() -> None:
    result = answer(output(b"a"), output(b"b", "length"), stops=("abc",))
    assert [piece.text for piece in result.pieces] == ["", "ab"]
    assert result.reported == [b"a", b"b"]


def test_outputs_after_the_end_are_ignored() -> None:
    result = answer(output(b"END"), output(b"a"), output(b"b", "length"), stops=("N",))
    assert (result.text, result.choice.finish, result.choice.tokens) == ("E", "stop", 1)


def test_a_token_partly_inside_the_stop_has_no_entry() -> None:
    result = answer(output(b"a"), output(b"ba"), output(b"b"), stops=("ab",))
    assert (result.text, result.reported) == ("", [])
    result = answer(output(b"b"), output(b"ba"), output(b"b"), stops=("ab",))
    assert (result.text, result.reported) == ("bb", [b"b"])


def test_an_entry_of_half_a_character_has_its_exact_bytes() -> None:
    result = answer(output(b"\xf0\x9f"), output(b"\x98\x80"), END)
    assert [piece.text for piece in result.pieces] == ["", "😀", ""]
    assert [len(piece.logprobs) for piece in result.pieces] == [0, 2, 0]
    assert result.reported == [b"\xf0\x9f", b"\x98\x80"]


def test_a_token_without_text_is_released_with_the_next() -> None:
    result = answer(output(b"a"), output(b""), output(b"b"), END)
    assert [len(piece.logprobs) for piece in result.pieces] == [1, 0, 2, 0]


def test_a_choice_cut_inside_a_character_ends_in_a_replacement_character() -> None:
    assert answer(output(b"a"), output(b"\xc3", "length")).text == "a\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (None, ()),
        (0, (TokenLogprob(1, b"a", -1.5),)),
        (1, (TokenLogprob(1, b"a", -1.5, (Alternative(1, b"a", -1.5),)),)),
        (5, (TokenLogprob(1, b"a", -1.5, (Alternative(1, b"a", -1.5), Alternative(0, b"", -9.0))),)),
    ],
)
def test_as_many_alternatives_are_reported_as_requested(top: int | None, expected: tuple[TokenLogprob, ...]) -> None:
    assert answer(output(b"a"), top=top).pieces[0].logprobs == expected
