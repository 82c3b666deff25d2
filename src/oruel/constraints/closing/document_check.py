"""Checks a document as it is written against those keywords of its schema that no grammar holds."""

import json
import logging
from collections.abc import Iterator, Sequence

from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.completion.completions import DocumentCompletions
from oruel.constraints.tokens import TokenTable

log = logging.getLogger(__name__)
DECODER = json.JSONDecoder()


class DocumentCheck:
    """`schema` is JSON Schema as text; `place` the current position, which the owner moves after each token that it
    feeds; `written` the beginning of the document up to there.
    """

    def __init__(self, schema: str, tokens: TokenTable, place: DocumentPosition, written: bytes = b"") -> None:
        # Not shared with other documents: what it has found out may change what it finds first.
        self._completions = DocumentCompletions(json.loads(schema))
        self._pieces = tokens.pieces
        self._place = place
        self._document = written

    def feed(self, token: int) -> None:
        self._document = self._text_after([token])

    def is_valid_after(self, tokens: Sequence[int]) -> bool:
        """Whether the tokens complete a valid document."""
        text = self._text_after(tokens)
        return self._completions.is_valid(text[: document_length(text)])

    def completions_after(self, tokens: Sequence[int]) -> Iterator[bytes | None]:
        """Texts that complete the document after the tokens. None after each piece of work without one."""
        try:
            yield from self._completions.after(self._text_after(tokens))
        except Exception:
            # A fault in the search for one document must not end all: the known completion remains.
            log.exception("the completions of a document could not be computed")

    def _text_after(self, tokens: Sequence[int]) -> bytes:
        written = [self._pieces[token] for token in tokens]
        if not self._place.is_free and all(written):
            return self._document + b"".join(written)
        place, parts = self._place.copy(), [self._document]
        for token in tokens:
            parts.append(place.feed(token))
            if not self._pieces[token] and not document_length(b"".join(parts)):
                # Control tokens, and text between them, may precede a document.
                parts.clear()
        return b"".join(parts)


def document_length(text: bytes) -> int:
    """The length of the complete document with which `text` begins; 0 if there is none."""
    try:
        written = text.decode()
        _, end = DECODER.raw_decode(written)
    except (ValueError, RecursionError):
        return 0
    return len(text) if end == len(written) else len(written[:end].encode())
