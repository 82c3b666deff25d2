"""Bytes of tokens to text, whole characters only; joined, `b"".join(pieces).decode("utf-8", "replace")`."""

import codecs

_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    def __init__(self) -> None:
        self._decoder = _decoder("replace")

    @property
    def pending(self) -> int:
        """How many characters the bytes held back stand for: one that has begun, or the two replacements of half a
        surrogate, which UTF-8 doesn't have.
        """
        return len(self._decoder.getstate()[0].decode("utf-8", "replace"))

    def feed(self, piece: bytes) -> str:
        return self._decoder.decode(piece)

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)
