import re

from hypothesis import given
from hypothesis import strategies as st

from oruel.vocabulary.cuts import cut_inside, cut_text


@given(text=st.text(st.sampled_from("aé漢 1.,'\n\t😀_")), limit=st.integers(1, 20))
def test_parts_are_short_and_join_to_the_text(text: str, limit: int) -> None:
    parts = cut_text(text, limit)
    assert "".join(parts) == text
    assert all(0 < len(part) <= limit for part in parts) or parts == [""]


def test_a_text_is_cut_between_words() -> None:
    assert cut_text("the quick brown fox", 12) == ["the quick", " brown fox"]
    assert cut_text('{"a":1,"b":2}', 8) == ['{"a":1', ',"b":2}']
    assert cut_text("a" * 10, 4) == ["aaaa", "aaaa", "aa"]


def test_a_text_is_cut_inside_each_name() -> None:
    name = re.compile("<unk>")
    assert cut_inside("<unk>a<unk>", name) == ["<", "unk>a<", "unk>"]
    assert cut_inside("<un", name) == ["<un"]
    assert cut_inside("", name) == [""]
