"""A list whose items are computed when they are first read."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class LazyList(Generic[T]):
    """While an item is computed, the list ends before it: this cuts recursion. A list that such a cut left empty is
    computed anew when it is next read.
    """

    def __init__(self, compute: Callable[[], Iterator[T]], cuts: list[int]) -> None:
        self._compute = compute
        self._source: Iterator[T] | None = None
        self._known: list[T] = []
        self._is_running = False
        self._cuts = cuts
        """How often any list was cut; all lists of a schema share it."""

    def __iter__(self) -> Iterator[T]:
        place = 0
        while place < len(self._known) or self._grow():
            yield self._known[place]
            place += 1

    def _grow(self) -> bool:
        if self._is_running:
            self._cuts[0] += 1
            return False
        if self._source is None:
            self._source = self._compute()
        before = self._cuts[0]
        self._is_running = True
        try:
            for one in self._source:
                self._known.append(one)
                return True
        finally:
            self._is_running = False
        if not self._known and self._cuts[0] != before:
            self._source = None
        return False
