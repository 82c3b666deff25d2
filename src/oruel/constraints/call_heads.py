"""Finds where the arguments of calls begin in a text that arrives as tokens."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from oruel.constraints.tokens import TokenTable

# The longest head: a format's texts, a name and an id.
MAX_HEAD_BYTES = 1024


class ArgumentsBegin(NamedTuple):
    """`number` of the head; `written`: the bytes of the last token that belong to the arguments."""

    number: int
    written: bytes


def control_mark(token: int) -> str:
    """What stands for a control token in heads and in the text that is compared with them."""
    return f"\x1e{token}\x1e"


class CallHeads:
    """`heads` are regular expressions."""

    def __init__(self, tokens: TokenTable, heads: Sequence[str]) -> None:
        self._pieces = tokens.pieces
        self._heads = re.compile("|".join(f"({head})" for head in heads).encode())
        self._tail = b""

    def after(self, token: int) -> ArgumentsBegin | None:
        """The arguments that begin in `token`, or after it."""
        text = self._tail + self._text_of(token)
        for match in self._heads.finditer(text):
            if match.end() > len(self._tail) and match.lastindex:
                return ArgumentsBegin(match.lastindex - 1, text[match.end() :])
        return None

    def feed(self, token: int) -> None:
        self._tail = (self._tail + self._text_of(token))[-MAX_HEAD_BYTES:]

    def _text_of(self, token: int) -> bytes:
        return self._pieces[token] or control_mark(token).encode()
