"""A cache of answers that jobs found before."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_ENTRIES = 512
MAX_TOTAL_CHARACTERS = 2**22


class AnswerCache(Generic[V]):
    """Keeps the answers of the `most` latest texts, which have at most so many `characters` together."""

    def __init__(self, most: int = MAX_ENTRIES, characters: int = MAX_TOTAL_CHARACTERS) -> None:
        self._most = most
        self._room = characters
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, text: str) -> V | None:
        if text in self._values:
            self._values.move_to_end(text)
        return self._values.get(text)

    def keep(self, text: str, value: V) -> None:
        if text not in self._values:
            self._room -= len(text)
        self._values[text] = value
        while self._values and (len(self._values) > self._most or self._room < 0):
            oldest, _ = self._values.popitem(last=False)
            self._room += len(oldest)
