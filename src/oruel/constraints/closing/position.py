"""The position of a sequence in its text: in the free text before a document, in the document, or in one of its
strings.
"""

from collections.abc import Sequence
from copy import copy

from oruel.constraints.tokens import TokenTable

# Only these bytes change the state, outside an escape.
STRUCTURAL = frozenset(b'"\\[]{}')


class DocumentPosition:
    """Begins in free text if there are tokens `reasoning_end`, which end it; otherwise in the document. `depth` is the
    number of open brackets, and `floor` the smallest depth since the position was made or copied. `has_ended`: whether
    the last of them has closed.
    """

    def __init__(self, tokens: TokenTable, reasoning_end: Sequence[int] = ()) -> None:
        self.reasoning_end = reasoning_end
        self.is_free = bool(reasoning_end)
        self.is_in_string = self.has_ended = False
        self.depth = self.floor = 0
        self._is_escaped = False
        self._pieces = tokens.pieces
        self._marker = b"".join(tokens.pieces[token] for token in reasoning_end)
        self._tail = b""

    def copy(self) -> "DocumentPosition":
        other = copy(self)
        other.floor = self.depth
        return other

    def feed(self, token: int) -> bytes:
        """Returns those bytes of the token that belong to the document."""
        data = self._pieces[token]
        if self.is_free:
            data = self._document_part(token, data)
        if self._is_escaped or not STRUCTURAL.isdisjoint(data):
            for byte in data:
                self.feed_byte(byte)
        return data

    def feed_byte(self, byte: int) -> None:
        """`byte` belongs to the document."""
        if self._is_escaped:
            self._is_escaped = False
        elif byte == ord('"'):
            self.is_in_string = not self.is_in_string
        elif self.is_in_string:
            self._is_escaped = byte == ord("\\")
        elif byte in b"[{":
            self.depth += 1
        elif byte in b"]}":
            self.depth -= 1
            self.floor = min(self.floor, self.depth)
            self.has_ended = self.depth <= 0

    def _document_part(self, token: int, data: bytes) -> bytes:
        """The part of `data` that belongs to the document."""
        if not self._pieces[self.reasoning_end[0]]:
            # `reasoning_end` begins with a control token, which can't be part of the free text.
            self.is_free = token != self.reasoning_end[0]
            return b""
        text = self._tail + data
        _, found, after = text.partition(self._marker)
        self.is_free = not found
        self._tail = text[-len(self._marker) :]
        return after
