"""Whatever part of a JSON object there is, what completes it is known; Python's own parser judges."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.constraints.json_text import CLOSING_BYTES, MOST_GROWTH, JsonTracker

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": True}])


def text_of(data: bytes) -> JsonTracker:
    text = JsonTracker()
    text.feed(data)
    return text


@given(OBJECTS, LAYOUTS, st.data())
def test_any_beginning_of_an_object_is_completed_to_an_object(value: Any, layout: Any, data: Any) -> None:
    whole = json.dumps(value, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass")
    cut = data.draw(st.integers(0, len(whole)))
    completed = whole[:cut] + text_of(whole[:cut]).closing
    assert isinstance(json.loads(completed.decode("utf-8", "surrogatepass")), dict)


@given(OBJECTS, LAYOUTS)
def test_it_is_complete_at_its_last_byte_and_not_before(value: Any, layout: Any) -> None:
    whole = json.dumps(value, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass")
    assert text_of(whole).is_complete
    assert not text_of(whole[:-1]).is_complete


@given(OBJECTS, LAYOUTS)
def test_a_byte_never_makes_the_completion_longer_than_is_said(value: Any, layout: Any) -> None:
    text, before = JsonTracker(), 2
    for byte in json.dumps(value, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass"):
        text.feed(bytes([byte]))
        assert len(text.closing) <= before + MOST_GROWTH
        assert set(text.closing) <= CLOSING_BYTES
        before = len(text.closing)


@given(OBJECTS, st.integers(0, 50))
def test_a_copy_goes_its_own_way(value: Any, cut: int) -> None:
    whole = json.dumps(value).encode()
    text = text_of(whole[:cut])
    before = text.closing
    text.copy().feed(whole[cut:])
    assert text.closing == before


@pytest.mark.parametrize(
    ("beginning", "closing"),
    [
        ("", "{}"),
        ("{", "}"),
        ('{"a', '":0}'),
        ('{"a":', "0}"),
        ('{"a": [1,', "0]}"),
        ('{"a": [1 ', "]}"),
        ('{"a": {"b": -', "0}}"),
        ('{"a": 1.', "0}"),
        ('{"a": 1e+', "0}"),
        ('{"a": tr', "ue}"),
        ('{"a": "\\', 'n"}'),
        ('{"a": "\\u00', '00"}'),
        ('{"a": 1,', '"":0}'),
        ('{"a": {}}', ""),
    ],
)
def test_the_completion_is_short(beginning: str, closing: str) -> None:
    assert text_of(beginning.encode()).closing == closing.encode()


@pytest.mark.parametrize("character", ["é", "€", "\u0800", "𐀀", "\U0010ffff", "\ud7ff", "\ue000"])
def test_half_a_character_is_completed_to_one(character: str) -> None:
    encoded = character.encode()
    for cut in range(1, len(encoded)):
        beginning = b'{"a":"' + encoded[:cut]
        assert json.loads((beginning + text_of(beginning).closing).decode())
