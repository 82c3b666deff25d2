from hypothesis import example, given, settings
from hypothesis import strategies as st

from oruel.text.answer.detokenizer import Detokenizer

# Valid and invalid UTF-8: overlong forms, surrogates, code points beyond the last plane, lone continuation bytes.
BYTES = st.sampled_from(b"aZ\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xdf\xe0\xe2\xed\xef\xf0\xf4\xf5\xff")
TEXTS = st.one_of(st.lists(BYTES, max_size=12).map(bytes), st.text(max_size=6).map(str.encode), st.binary(max_size=12))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [*sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(0, 100), max_size=6))
def test_the_joined_text_equals_all_bytes_decoded_at_once(data: bytes, places: list[int]) -> None:
    detokenizer = Detokenizer()
    text = "".join(detokenizer.feed(piece) for piece in cut(data, places)) + detokenizer.finish()
    assert text == data.decode("utf-8", "replace")


@settings(deadline=None)
@given(TEXTS)
@example(b"\xed\xa0")
def test_pending_counts_the_characters_still_to_come(data: bytes) -> None:
    detokenizer = Detokenizer()
    before = detokenizer.feed(data)
    whole = data.decode("utf-8", "replace")
    assert len(whole) == len(before) + detokenizer.pending


def test_a_character_is_held_back_until_its_last_byte() -> None:
    detokenizer = Detokenizer()
    assert [detokenizer.feed(bytes([byte])) for byte in "é😀".encode()] == ["", "é", "", "", "", "😀"]


def test_an_incomplete_character_becomes_one_replacement_character() -> None:
    detokenizer = Detokenizer()
    assert detokenizer.feed("a😀".encode()[:-1]) == "a"
    assert detokenizer.finish() == "\N{REPLACEMENT CHARACTER}"
