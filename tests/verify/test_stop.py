"""Where an answer with stop texts must end, and what the text of a wrong answer shows."""

from random import Random

import pytest

from oruel.verify.checks.stop import (
    Source,
    across_tokens,
    excerpt,
    first_match,
    judge_text,
    token_ends,
    tokens_until_match,
)
from oruel.verify.reply import Json, Reply
from oruel.verify.verdict import Concluded


def reply_of(pieces: list[bytes]) -> Reply:
    text = b"".join(pieces).decode(errors="replace")
    content = [{"token": piece.decode(errors="replace"), "logprob": -1.0, "bytes": list(piece)} for piece in pieces]
    choice: Json = {"message": {"content": text}, "finish_reason": "length", "logprobs": {"content": content}}
    return Reply({}, 200, {}, {"choices": [choice]})


def source_of(pieces: list[bytes]) -> Source:
    reply = reply_of(pieces)
    return Source("", 10, reply, token_ends(reply), exact=True, hides_thoughts=False)


def random_pieces(random: Random) -> list[bytes]:
    return [
        word.encode() for word in random.choices([" the", " sea", " é", "ing", "a", " boat", ".", "日", " blue"], k=40)
    ]


@pytest.mark.parametrize("seed", range(50))
def test_the_first_match_is_found_by_reading_character_by_character(seed: int) -> None:
    random = Random(seed)
    text = "".join(random.choices("abc", k=40)) + "abc"
    stops = ["".join(random.choices("abc", k=random.randint(1, 4))) for _ in range(4)] + ["abc"]
    for end in range(1, len(text) + 1):
        matches = [stop for stop in stops if text[:end].endswith(stop)]
        if matches:
            assert first_match(text, [stop for stop in stops if stop in text]) == (end - max(map(len, matches)), end)
            return


def test_a_token_that_ends_inside_a_character_ends_before_it() -> None:
    boat = "日本".encode()
    assert token_ends(reply_of([b"a ", boat[:2], boat[2:4], boat[4:], b"!"])) == (2, 2, 3, 4, 5)


def test_tokens_that_are_not_the_text_are_not_used() -> None:
    reply = reply_of([b"a", b"b"])
    reply.choices[0]["message"]["content"] = "ba"
    assert token_ends(reply) == ()


@pytest.mark.parametrize("seed", range(50))
def test_a_stop_text_across_tokens_begins_inside_one_and_ends_inside_another(seed: int) -> None:
    source = source_of(random_pieces(Random(seed)))
    try:
        stop = across_tokens(source)
    except Concluded:
        return
    start = source.text.find(stop)
    assert start not in source.ends
    assert start + len(stop) not in source.ends
    assert any(start < end < start + len(stop) for end in source.ends)


def test_the_tokens_until_a_match_include_the_one_that_completes_it() -> None:
    source = source_of([b"One", b" boat", b" on", b" the", b" sea"])
    assert tokens_until_match(source, "t o") == 3
    assert tokens_until_match(source, "boat") == 2


def test_an_excerpt_occurs_nowhere_before() -> None:
    text = "abab cdcd efef"
    found = excerpt(source_of([text.encode()]), 4, 4)
    assert text.find(found) >= 4
    with pytest.raises(Concluded):
        excerpt(source_of([b"aaaaaaaa"]), 2, 3)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("One boat on ", "honoured: "),
        ("One boat on the sea, one hill", "ignored: the text goes on after the stop text"),
        ("One boat on the sea", "differs: the stop text is returned"),
        ("One boat on the sea,", "differs: the text ends only after the stop text"),
        ("One boat on the s", "differs: a part of the stop text is returned"),
        ("One boat on", "differs: white space before the stop text is lost"),
        ("One bo", "differs: text before the stop text is lost"),
        ("Two boats", "differs: the text differs from the one without stop"),
    ],
)
def test_the_text_of_a_wrong_answer_names_the_fault(text: str, verdict: str) -> None:
    found = judge_text(text, "One boat on the sea, one hill", ["the sea", "hill"])
    assert f"{found.outcome}: {found.how}" == verdict
