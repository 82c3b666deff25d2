"""Rows of logits in place of a model's, in several manners: what a constraint holds may not depend on them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.tokens import TokenTable

Row = NDArray[np.float32]
CONTEXT = 6


class Writer(Protocol):
    def row(self, text: bytes) -> Row:
        """The logits after `text`, one for each token."""


class Biased:
    """Noise over fixed preferences for the tokens that contain some bytes."""

    def __init__(self, tokens: TokenTable, seed: int, *, wanted: bytes = b"", unwanted: bytes = b"") -> None:
        self._chance = np.random.default_rng(seed)
        self._base = np.zeros(tokens.size, np.float32)
        for token, piece in enumerate(tokens.pieces):
            good, bad = (sum(byte in some for byte in piece) for some in (wanted, unwanted))
            self._base[token] = 3 * bool(good) - 4 * bool(bad) + 0.2 * (good - bad)
            if token in tokens.ends:
                self._base[token] = -2

    def row(self, text: bytes) -> Row:
        return self._base + self._chance.normal(0, 1, len(self._base)).astype(np.float32)


class Continuing:
    """Prefers the bytes that follow the last few in some texts: those of the schema, or the document itself."""

    def __init__(self, tokens: TokenTable, seed: int, *, texts: list[bytes], echoes: bool) -> None:
        self._plain = Biased(tokens, seed)
        self._single = tokens.single
        self._next: dict[bytes, set[int]] = defaultdict(set)
        self._echoes = echoes
        self._learnt = 0
        for text in texts:
            self._learn(text, 0)

    def row(self, text: bytes) -> Row:
        if self._echoes:
            self._learn(text, self._learnt)
            self._learnt = len(text)
        row = self._plain.row(text)
        for length in range(min(CONTEXT, len(text)), 0, -1):
            if following := self._next.get(text[-length:]):
                row[[self._single[byte] for byte in following]] += 5
                break
        return row

    def _learn(self, text: bytes, start: int) -> None:
        for place in range(max(start, 1), len(text)):
            for length in range(1, min(CONTEXT, place) + 1):
                self._next[text[place - length : place]].add(text[place])


def words_of(schema: Any) -> Iterator[bytes]:
    """The texts and numbers in the schema, as JSON has them."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield from words_of(key)
            yield from words_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from words_of(value)
    elif not isinstance(schema, bool):
        yield b" " + json.dumps(schema, ensure_ascii=False).encode()


TEXT = b"abcdefghijklmnopqrstuvwxyz ABC0123456789"
WRITERS: dict[str, Callable[[TokenTable, int, Any], Writer]] = {
    "text": lambda tokens, seed, schema: Biased(tokens, seed, wanted=TEXT + b'",:', unwanted=bytes(range(128, 256))),
    "anything": lambda tokens, seed, schema: Biased(tokens, seed),
    "ever deeper": lambda tokens, seed, schema: Biased(tokens, seed, wanted=b"{["),
    "long strings": lambda tokens, seed, schema: Biased(tokens, seed, wanted=TEXT, unwanted=b'"]}'),
    "ends soon": lambda tokens, seed, schema: Biased(tokens, seed, wanted=b'"]}'),
    "ever more members": lambda tokens, seed, schema: Biased(tokens, seed, wanted=b'",:', unwanted=b"]}"),
    "numbers": lambda tokens, seed, schema: Biased(tokens, seed, wanted=b"-0123456789.eE"),
    "escapes": lambda tokens, seed, schema: Biased(tokens, seed, wanted=b"\\u"),
    "half characters": lambda tokens, seed, schema: Biased(tokens, seed, wanted=bytes(range(0xC2, 0xF5))),
    "words of the schema": lambda tokens, seed, schema: Continuing(
        tokens, seed, texts=list(words_of(schema)), echoes=False
    ),
    "repeats itself": lambda tokens, seed, schema: Continuing(tokens, seed, texts=[], echoes=True),
    "both": lambda tokens, seed, schema: Continuing(tokens, seed, texts=list(words_of(schema)), echoes=True),
}
