from hypothesis import example, given, settings
from hypothesis import strategies as st

from oruel.text.answer.stops import StopScanner

LETTERS = st.text("ab", max_size=14)
STOPS = st.lists(st.text("ab", min_size=1, max_size=5), max_size=4).map(tuple)
PLACES = st.lists(st.integers(0, 100), max_size=6)


def first_stop(text: str, stops: tuple[str, ...]) -> tuple[int, str] | None:
    """The contract, literally: the first prefix of the text that ends with a stop, and the longest such stop."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            longest = max(ending, key=len)
            return end - len(longest), longest
    return None


def could_become_a_stop(text: str, stops: tuple[str, ...]) -> str:
    """The longest suffix of the text that is a prefix of a stop."""
    return next(
        text[start:]
        for start in range(len(text) + 1)
        if start == len(text) or any(stop.startswith(text[start:]) for stop in stops)
    )


def cut(text: str, places: list[int]) -> list[str]:
    ends = [*sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(deadline=None)
@given(LETTERS, STOPS, PLACES)
@example("aabaab", ("aabaaa", "baab"), [3])
def test_the_text_ends_before_the_first_stop_regardless_of_chunking(
    text: str, stops: tuple[str, ...], places: list[int]
) -> None:
    scanner = StopScanner(stops)
    released = "".join(scanner.feed(piece) for piece in cut(text, places)) + scanner.finish()
    found = first_stop(text, stops)
    assert released == (text if found is None else text[: found[0]])
    assert scanner.matched == (None if found is None else found[1])


@settings(deadline=None)
@given(LETTERS, STOPS, PLACES)
def test_only_what_could_become_a_stop_is_held_back(text: str, stops: tuple[str, ...], places: list[int]) -> None:
    scanner, sent, released = StopScanner(stops), "", ""
    for piece in cut(text, places):
        sent, released = sent + piece, released + scanner.feed(piece)
        if scanner.matched is None:
            assert released + could_become_a_stop(sent, stops) == sent


def test_a_stop_that_spans_two_pieces_is_not_returned() -> None:
    scanner = StopScanner(("END",))
    assert [scanner.feed("the E"), scanner.feed("ND and more")] == ["the ", ""]
    assert scanner.finish() == ""


def test_text_after_a_stop_is_not_returned() -> None:
    scanner = StopScanner(("\n",))
    assert [scanner.feed("one\ntwo"), scanner.feed("three"), scanner.finish()] == ["one", "", ""]


def test_the_match_that_ends_first_wins_over_one_that_begins_first() -> None:
    scanner = StopScanner(("abcd", "bc"))
    assert scanner.feed("xabcd") == "xa"
    assert scanner.matched == "bc"


def test_the_longest_of_stops_that_end_together_is_removed() -> None:
    scanner = StopScanner(("c", "bc", "abc"))
    assert scanner.feed("xabc") == "x"
    assert scanner.matched == "abc"


def test_a_stop_of_astral_characters_is_counted_in_characters() -> None:
    scanner = StopScanner(("👋🏽",))
    assert [scanner.feed("hi 👋"), scanner.feed("🏽"), scanner.finish()] == ["hi ", "", ""]
