"""A cache of values made from text, bounded by their number and by the length of the texts."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Keeps the `most` latest values, made from at most `most_characters` of text, but always the latest.
    Thread-safe.
    """

    def __init__(self, make: Callable[[str], Value], most: int, most_characters: int) -> None:
        self._make = make
        self._most = most
        self._most_characters = most_characters
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, text: str) -> Value:
        with self._lock:
            if text in self._values:
                self._values.move_to_end(text)
                return self._values[text]
        value = self._make(text)
        with self._lock:
            self._keep(text, value)
        return value

    def forget(self, text: str) -> None:
        with self._lock:
            if self._values.pop(text, None) is not None:
                self._characters -= len(text)

    def _keep(self, text: str, value: Value) -> None:
        if text not in self._values:
            self._characters += len(text)
        self._values[text] = value
        while len(self._values) > 1 and (len(self._values) > self._most or self._characters > self._most_characters):
            oldest, _ = self._values.popitem(last=False)
            self._characters -= len(oldest)
