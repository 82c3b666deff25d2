"""Bytes of tokens to text, whole characters only; joined, `b"".join(pieces).decode("utf-8", "replace")`."""

import codecs

_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    def __init__(self) -> None:
        self._decoder = _decoder("replace")

    @property
    def pending(self) -> bool:
        """Whether a character has begun and not ended: what follows turns it into exactly one character."""
        return bool(self._decoder.getstate()[0])

    def feed(self, piece: bytes) -> str:
        return self._decoder.decode(piece)

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)
