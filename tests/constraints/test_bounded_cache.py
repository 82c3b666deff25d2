"""BoundedCache keeps the latest values, bounded by number and by total length."""

from oruel.constraints.bounded_cache import BoundedCache


def make_cache(most: int, most_characters: int) -> tuple[BoundedCache[str], list[str]]:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text.upper()

    return BoundedCache(make, most, most_characters), made


def test_a_value_is_made_once() -> None:
    cache, made = make_cache(2, 100)
    assert [cache.get(text) for text in ("a", "b", "a")] == ["A", "B", "A"]
    assert made == ["a", "b"]


def test_the_most_recently_used_values_are_kept() -> None:
    cache, made = make_cache(2, 100)
    for text in ("a", "b", "a", "c", "a", "b"):
        cache.get(text)
    assert made == ["a", "b", "c", "b"]


def test_long_texts_evict_others() -> None:
    cache, _ = make_cache(10, 100)
    for text in ("a" * 60, "b" * 60, "c" * 30, "d" * 500):
        assert cache.get(text) == text.upper()
        assert len(cache) <= 2
    assert len(cache) == 1


def test_a_forgotten_value_is_made_again() -> None:
    cache, made = make_cache(2, 100)
    cache.get("a")
    cache.forget("a")
    cache.forget("b")
    cache.get("a")
    assert made == ["a", "a"]
