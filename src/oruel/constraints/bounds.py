"""Limits of nesting and of numbers that every common JSON parser accepts."""

import math
from copy import copy

# Python's parser gives up at about 1,000 brackets and at 4,300 digits, and reads 1e999 as infinite.
MAX_DEPTH = 64
MAX_NUMBER_BYTES = 300
IN_NUMBERS = frozenset(b"0123456789+-.eE")


class ParserBounds:
    """Checks a document that arrives in pieces against the limits."""

    def __init__(self) -> None:
        self.is_within = True
        self._is_in_string = False
        self._is_escaped = False
        self._depth = 0
        self._number = b""

    def allow(self, data: bytes) -> bool:
        """Whether the document stays within the bounds after `data`."""
        if not self._may_exceed(data):
            return True
        after = copy(self)
        after.feed(data)
        return after.is_within

    def feed(self, data: bytes) -> None:
        if self._is_in_string and not self._is_escaped and b'"' not in data and b"\\" not in data:
            return
        for byte in data:
            self._take(byte)

    def _may_exceed(self, data: bytes) -> bool:
        """Cheap pre-check; may give false positives."""
        if self._is_in_string and b'"' not in data:
            return False
        return (
            self._depth + len(data) > MAX_DEPTH
            or len(self._number) + len(data) > MAX_NUMBER_BYTES
            or b"e" in (self._number + data).lower()
        )

    def _take(self, byte: int) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif byte == ord('"'):
            self._is_in_string = not self._is_in_string
            self._number = b""
        elif self._is_in_string:
            self._is_escaped = byte == ord("\\")
        elif byte in IN_NUMBERS:
            self._number += bytes([byte])
            self.is_within &= is_readable(self._number)
        else:
            self._depth += (byte in b"[{") - (byte in b"]}")
            self._number = b""
            self.is_within &= self._depth <= MAX_DEPTH


def is_readable(number: bytes) -> bool:
    """Whether a number with this beginning is short, and finite if it ends here."""
    try:
        return len(number) <= MAX_NUMBER_BYTES and (number[-1:] in b"eE+-." or math.isfinite(float(number)))
    except ValueError:
        # Not a number, but part of a literal.
        return True
