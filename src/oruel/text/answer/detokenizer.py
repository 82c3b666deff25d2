"""Decodes the bytes of tokens as text, whole characters only. Joined, it equals b"".join(pieces).decode("utf-8",
"replace").
"""

import codecs

_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    def __init__(self) -> None:
        self._decoder = _decoder("replace")

    @property
    def pending(self) -> int:
        """How many characters the held bytes stand for: an incomplete one, or the two replacement characters of half a
        surrogate, which UTF-8 doesn't allow.
        """
        return len(self._decoder.getstate()[0].decode("utf-8", "replace"))

    def feed(self, piece: bytes) -> str:
        return self._decoder.decode(piece)

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)
