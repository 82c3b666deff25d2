"""Events out of bytes, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.cli import sse
from oruel.cli.sse import read_events
from oruel.errors import ChatFailed

visible = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\ufeff"), max_size=12)


@given(
    payloads=st.lists(st.lists(visible, min_size=1, max_size=3), max_size=5),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    comment=visible,
    data=st.data(),
)
def test_events_are_the_same_wherever_the_bytes_are_cut(
    payloads: list[list[str]], ending: str, comment: str, data: st.DataObject
) -> None:
    stream = "".join(
        f": {comment}{ending}{''.join(f'data: {line}{ending}' for line in payload)}{ending}" for payload in payloads
    )
    whole = (stream + ending).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert list(read_events(pieces)) == ["\n".join(payload) for payload in payloads]


def test_comments_and_other_fields_are_passed_over() -> None:
    stream = b": heartbeat\n\nevent: message\nid: 7\nretry: 10\ndata:one\n\n:\n\ndata\n\ndatum: x\n\n"
    assert list(read_events([stream])) == ["one", ""]


def test_one_space_after_the_colon_is_dropped_and_no_more() -> None:
    assert list(read_events([b"data:  two: spaces \n\n"])) == [" two: spaces "]


def test_an_event_that_the_end_of_the_stream_cuts_is_dropped() -> None:
    assert list(read_events([b"data: whole\n\ndata: cut\n"])) == ["whole"]


def test_a_byte_order_mark_is_no_part_of_the_first_event() -> None:
    assert list(read_events([b"\xef\xbb", b"\xbfdata: x\n\n"])) == ["x"]


def test_an_event_comes_out_as_soon_as_it_is_whole() -> None:
    def endless() -> object:
        yield b"data: first\n\n"
        raise AssertionError("more was read than the first event needs")

    assert next(read_events(endless())) == "first"  # type: ignore[arg-type]  # a generator that never yields twice


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    with pytest.raises(ChatFailed, match="more than 100 bytes"):
        list(read_events(b"data: xxxxxxxxxxxx" for _ in range(1000)))
