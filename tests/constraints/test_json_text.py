"""JsonTracker completes every prefix of a JSON object, as checked by Python's parser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.constraints.json_text import CLOSING_BYTES, MAX_GROWTH, JsonTracker

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": True}])


def tracker_of(data: bytes) -> JsonTracker:
    text = JsonTracker()
    text.feed(data)
    return text


@given(OBJECTS, LAYOUTS, st.data())
def test_every_prefix_of_an_object_can_be_completed(value: Any, layout: Any, data: Any) -> None:
    whole = json.dumps(value, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass")
    cut = data.draw(st.integers(0, len(whole)))
    completed = whole[:cut] + tracker_of(whole[:cut]).closing
    assert isinstance(json.loads(completed.decode("utf-8", "surrogatepass")), dict)


@given(OBJECTS, LAYOUTS)
def test_an_object_is_complete_at_its_last_byte_only(value: Any, layout: Any) -> None:
    whole = json.dumps(value, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass")
    assert tracker_of(whole).is_complete
    assert not tracker_of(whole[:-1]).is_complete


@given(OBJECTS, LAYOUTS)
def test_a_byte_lengthens_the_completion_by_at_most_the_bound(value: Any, layout: Any) -> None:
    text, before = JsonTracker(), 2
    for byte in json.dumps(value, **({"ensure_ascii": False} | layout)).encode("utf-8", "surrogatepass"):
        text.feed(bytes([byte]))
        assert len(text.closing) <= before + MAX_GROWTH
        assert set(text.closing) <= CLOSING_BYTES
        before = len(text.closing)


@given(OBJECTS, st.integers(0, 50))
def test_a_copy_is_independent_of_the_original(value: Any, cut: int) -> None:
    whole = json.dumps(value).encode()
    text = tracker_of(whole[:cut])
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
    assert tracker_of(beginning.encode()).closing == closing.encode()


@pytest.mark.parametrize("character", ["é", "€", "\u0800", "𐀀", "\U0010ffff", "\ud7ff", "\ue000"])
def test_a_partial_character_is_completed(character: str) -> None:
    encoded = character.encode()
    for cut in range(1, len(encoded)):
        beginning = b'{"a":"' + encoded[:cut]
        assert json.loads((beginning + tracker_of(beginning).closing).decode())
