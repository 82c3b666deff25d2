"""Events are read from bytes, however the bytes are split."""

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
def test_events_do_not_depend_on_how_the_bytes_are_split(
    payloads: list[list[str]], ending: str, comment: str, data: st.DataObject
) -> None:
    stream = "".join(
        f": {comment}{ending}{''.join(f'data: {line}{ending}' for line in payload)}{ending}" for payload in payloads
    )
    whole = (stream + ending).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert list(read_events(pieces)) == ["\n".join(payload) for payload in payloads]


def test_comments_and_other_fields_are_skipped() -> None:
    stream = b": heartbeat\n\nevent: message\nid: 7\nretry: 10\ndata:one\n\n:\n\ndata\n\ndatum: x\n\n"
    assert list(read_events([stream])) == ["one", ""]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert list(read_events([b"data:  two: spaces \n\n"])) == [" two: spaces "]


def test_an_incomplete_last_event_is_dropped() -> None:
    assert list(read_events([b"data: whole\n\ndata: cut\n"])) == ["whole"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert list(read_events([b"\xef\xbb", b"\xbfdata: x\n\n"])) == ["x"]


def test_an_event_is_yielded_as_soon_as_it_is_complete() -> None:
    def endless() -> object:
        yield b"data: first\n\n"
        raise AssertionError("read more than the first event")

    assert next(read_events(endless())) == "first"  # type: ignore[arg-type]  # a generator that never yields twice


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    with pytest.raises(ChatFailed, match="more than 100 bytes"):
        list(read_events(b"data: xxxxxxxxxxxx" for _ in range(1000)))
