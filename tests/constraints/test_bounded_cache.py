"""The latest few values are kept, of limited length together."""

from oruel.constraints.bounded_cache import BoundedCache


def remembering(most: int, most_characters: int) -> tuple[BoundedCache[str], list[str]]:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text.upper()

    return BoundedCache(make, most, most_characters), made


def test_what_was_made_is_made_once() -> None:
    remembered, made = remembering(2, 100)
    assert [remembered.get(text) for text in ("a", "b", "a")] == ["A", "B", "A"]
    assert made == ["a", "b"]


def test_what_was_used_last_is_kept() -> None:
    remembered, made = remembering(2, 100)
    for text in ("a", "b", "a", "c", "a", "b"):
        remembered.get(text)
    assert made == ["a", "b", "c", "b"]


def test_long_texts_push_others_out() -> None:
    remembered, _ = remembering(10, 100)
    for text in ("a" * 60, "b" * 60, "c" * 30, "d" * 500):
        assert remembered.get(text) == text.upper()
        assert len(remembered) <= 2
    assert len(remembered) == 1


def test_what_is_forgotten_is_made_again() -> None:
    remembered, made = remembering(2, 100)
    remembered.get("a")
    remembered.forget("a")
    remembered.forget("b")
    remembered.get("a")
    assert made == ["a", "a"]
