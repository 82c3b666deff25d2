"""Faults of single log-probabilities, and readings of the answers at temperature 0."""

import math

import pytest

from oruel.verify.checks.greedy_penalties import contradictions, rewarded_repeat
from oruel.verify.checks.logprobs import (
    are_same,
    fault_of_bytes,
    fault_of_chosen,
    fault_of_order,
    fault_of_sum,
)
from oruel.verify.penalty_laws import IGNORED, LAWS, OCCURRENCES, PRESENCE
from oruel.verify.probe import distinct, is_plain
from oruel.verify.reply import TokenInfo


def token(text: str, *top: tuple[str, float], logprob: float | None = None) -> TokenInfo:
    """`top` as probabilities."""
    entries = tuple((one, math.log(p)) for one, p in top)
    own = dict(entries).get(text, -9.0) if logprob is None else logprob
    return TokenInfo(text, own, entries, tuple(text.encode()))


GOOD = token("a", ("a", 0.6), ("b", 0.3))


def test_a_right_position_has_no_fault() -> None:
    assert [fault(GOOD) for fault in (fault_of_sum, fault_of_order, fault_of_chosen)] == [None] * 3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (token("a", ("a", 0.9), ("b", 0.3)), "add up to 1.200"),
        (token("a", ("a", 1.5)), "above 0"),
        (token("a", ("a", 0.5), logprob=math.nan), "isn't finite"),
    ],
)
def test_impossible_probabilities_are_named(wrong: TokenInfo, says: str) -> None:
    assert says in str(fault_of_sum(wrong))


def test_entries_out_of_order_and_a_chosen_token_with_another_value_are_named() -> None:
    assert fault_of_order(token("a", ("b", 0.3), ("a", 0.6)))
    assert fault_of_chosen(token("a", ("a", 0.6), ("b", 0.3), logprob=-2.0))
    assert fault_of_chosen(token("c", ("a", 0.6), ("b", 0.3), logprob=-0.1))


@pytest.mark.parametrize(
    ("text", "pieces", "says"),
    [
        ("né", [b"n", b"\xc3", b"\xa9"], None),
        ("n", [b"n", b"\xc3"], None),
        ("né", [b"n"], "aren't the text"),
        ("n", [b"n", b"<end>"], "the end token has an entry"),
        ("n", [b" n"], "lacks white space"),
    ],
)
def test_the_bytes_of_the_tokens_are_the_text(text: str, pieces: list[bytes], says: str | None) -> None:
    tokens = [TokenInfo("", -1.0, (), tuple(piece)) for piece in pieces]
    fault = fault_of_bytes(text, tokens)
    assert fault is None if says is None else says in str(fault)


def test_missing_bytes_are_named() -> None:
    assert fault_of_bytes("a", [TokenInfo("a", -1.0)]) == "bytes are missing"


def test_log_probabilities_of_another_temperature_are_not_the_same() -> None:
    plain, sharp = token("a", ("a", 0.6), ("b", 0.3)), token("a", ("a", 0.8), ("b", 0.2))
    assert are_same([plain], [plain])
    assert not are_same([plain], [sharp])


def test_entries_that_a_filter_removed_are_not_the_same() -> None:
    assert not are_same([GOOD], [token("a", ("a", 0.6))])


def test_tokens_are_listed_up_to_the_first_that_text_cannot_tell_apart() -> None:
    top = [("a", -1.0), ("c", -3.0), ("b", -2.0), ("\ufffd", -4.0), ("d", -5.0)]
    assert [text for text, _ in distinct(top)] == ["a", "b", "c"]
    assert distinct([("a", -1.0), ("a", -2.0)]) == []


@pytest.mark.parametrize("text", ["<|im_end|>", "</s>", "[INST]", "", "\ufffd"])
def test_control_tokens_and_parts_of_characters_are_not_plain(text: str) -> None:
    assert not is_plain(text)


@pytest.mark.parametrize("text", [" a", "<", "[", "a < b", "\n"])
def test_other_texts_are_plain(text: str) -> None:
    assert is_plain(text)


def test_a_repeat_at_temperature_0_contradicts_the_penalties_that_would_have_prevented_it() -> None:
    """After "a a", a penalty of 2 for each "a" would make "b" better, one for its presence would not."""
    tokens = [
        token("a", ("a", 0.9), ("b", 0.1)),
        token("a", ("a", 0.95), ("b", 0.05)),
        token("a", ("a", 0.95), ("b", 0.05)),
    ]
    found = {name: contradictions(tokens, 2.0, LAWS[name]) for name in (OCCURRENCES, PRESENCE, IGNORED)}
    assert found == {OCCURRENCES: 1, PRESENCE: 0, IGNORED: 0}


def test_a_repeat_that_beats_a_more_probable_new_token_was_rewarded() -> None:
    rewarded = [token("a", ("a", 0.9), ("b", 0.1)), token("a", ("b", 0.7), ("a", 0.2))]
    assert rewarded_repeat(rewarded, "") is rewarded[1]
    deserved = [token("a", ("a", 0.9), ("b", 0.1)), token("a", ("a", 0.7), ("b", 0.2))]
    assert rewarded_repeat(deserved, "") is None


def test_tokens_of_the_prompt_contradict_no_penalty_because_they_may_be_counted() -> None:
    tokens = [token("a", ("b", 0.9), ("a", 0.1))]
    assert [contradictions(tokens, 2.0, LAWS[IGNORED], prompt) for prompt in ("", "b or c?", "a or c?")] == [1, 0, 0]
    repeats = [token("a", ("a", 0.9), ("b", 0.1)), token("a", ("b", 0.7), ("a", 0.2))]
    assert rewarded_repeat(repeats, "b or c?") is None
