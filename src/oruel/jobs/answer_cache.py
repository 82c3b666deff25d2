"""Caches the answers of jobs."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_ENTRIES = 512
MAX_TOTAL_CHARACTERS = 2**22


class AnswerCache(Generic[V]):
    """A least-recently-used cache from texts to answers. `characters` is the maximum total length of the texts."""

    def __init__(self, entries: int = MAX_ENTRIES, characters: int = MAX_TOTAL_CHARACTERS) -> None:
        self._max_entries = entries
        self._characters_left = characters
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, text: str) -> V | None:
        if text in self._values:
            self._values.move_to_end(text)
        return self._values.get(text)

    def keep(self, text: str, value: V) -> None:
        if text not in self._values:
            self._characters_left -= len(text)
        self._values[text] = value
        while self._values and (len(self._values) > self._max_entries or self._characters_left < 0):
            oldest, _ = self._values.popitem(last=False)
            self._characters_left += len(oldest)
