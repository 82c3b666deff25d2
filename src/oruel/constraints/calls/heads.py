"""Finds where the arguments of calls begin in a text that arrives as tokens."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from oruel.constraints.spec import ArgumentsSpec
from oruel.constraints.tokens import TokenTable

# How much longer than their pattern the variable parts of a head can be: an id, an index and a type.
VARIABLE_BYTES = 128


class ArgumentsBegin(NamedTuple):
    """The number of the ArgumentsSpec; `written`: the bytes of the last token that belong to the arguments."""

    number: int
    written: bytes


def control_mark(token: int) -> str:
    """What stands for a control token in heads and in the text that is compared with them."""
    return f"\x1e{token}\x1e"


class CallHeads:
    """Compares the text so far with the heads of `arguments`, of which there is at least one."""

    def __init__(self, tokens: TokenTable, arguments: Sequence[ArgumentsSpec]) -> None:
        names: dict[str, list[str]] = {}
        for number, each in enumerate(arguments):
            names.setdefault(each.begin, []).append(f"(?P<f{number}>{each.name})")
        heads = "|".join(f"(?:{begin})(?:{'|'.join(some)})" for begin, some in names.items())
        self._pieces = tokens.pieces
        self._heads = re.compile(heads.encode())
        self._longest = max(len(f"{each.begin}{each.name}".encode()) for each in arguments) + VARIABLE_BYTES
        self._tail = b""

    def after(self, token: int) -> ArgumentsBegin | None:
        """The arguments that may begin in `token`, or after it."""
        text = self._tail + self._text_of(token)
        for match in self._heads.finditer(text):
            if match.end() > len(self._tail) and match.lastgroup:
                return ArgumentsBegin(int(match.lastgroup[1:]), text[match.end() :])
        return None

    def feed(self, token: int) -> None:
        self._tail = (self._tail + self._text_of(token))[-self._longest :]

    def _text_of(self, token: int) -> bytes:
        return self._pieces[token] or control_mark(token).encode()
