"""Tracks a JSON object byte by byte, and what would complete it. Pure: no tokens, no grammar.

The caller makes sure that the bytes are the beginning of an object.
"""

from enum import Enum, auto

WHITESPACE = frozenset(b" \t\n\r")
DIGITS = frozenset(b"0123456789")
CLOSERS = {ord("{"): b"}", ord("["): b"]"}
LITERALS = {ord("t"): b"rue", ord("f"): b"alse", ord("n"): b"ull"}
CONTINUATION = b"\x80"
# The lowest second byte after these bytes; after all others it is CONTINUATION.
SECOND_BYTES = {0xE0: b"\xa0", 0xF0: b"\x90"}


# The bytes of `closing`, and by how many of them one more byte of text can lengthen it.
CLOSING_BYTES = frozenset(b'{}[]":0n' + b"rue" + b"alse" + b"ull" + CONTINUATION + b"".join(SECOND_BYTES.values()))
MAX_GROWTH = 4


class JsonState(Enum):
    START = auto()
    KEY_OR_END = auto()  # after {
    KEY = auto()  # after a comma
    COLON = auto()
    VALUE = auto()
    VALUE_OR_END = auto()  # after [
    COMMA_OR_END = auto()
    STRING = auto()
    LITERAL = auto()
    NUMBER = auto()
    END = auto()


# What each state needs before the brackets are closed. Inside JSON tokens it depends.
MISSING = {
    JsonState.START: b"{}",
    JsonState.KEY_OR_END: b"",
    JsonState.KEY: b'"":0',
    JsonState.COLON: b":0",
    JsonState.VALUE: b"0",
    JsonState.VALUE_OR_END: b"",
    JsonState.COMMA_OR_END: b"",
    JsonState.END: b"",
}


class JsonTracker:
    def __init__(self) -> None:
        self._at = JsonState.START
        self._open = bytearray()
        self._is_key = False
        self._rest = b""  # the rest of an escape, a character or a literal

    @property
    def is_complete(self) -> bool:
        return self._at is JsonState.END

    @property
    def closing(self) -> bytes:
        """The bytes that would complete the object."""
        return self._missing() + b"".join(CLOSERS[bracket] for bracket in reversed(self._open))

    def copy(self) -> "JsonTracker":
        other = JsonTracker()
        other._at, other._is_key, other._rest = self._at, self._is_key, self._rest
        other._open = self._open.copy()
        return other

    def feed(self, data: bytes) -> None:
        for byte in data:
            self._take(byte)

    def _missing(self) -> bytes:
        if self._at is JsonState.STRING:
            return self._rest + b'"' + (b":0" if self._is_key else b"")
        if self._at in (JsonState.LITERAL, JsonState.NUMBER):
            return self._rest
        return MISSING[self._at]

    def _take(self, byte: int) -> None:
        if self._at is JsonState.STRING:
            self._take_in_string(byte)
        elif self._at is JsonState.LITERAL:
            self._take_in_literal()
        elif self._at is JsonState.NUMBER and byte in b"0123456789.eE+-":
            # "-", "1.", "1e" and "1e-" need a digit.
            self._rest = b"" if byte in DIGITS else b"0"
        elif byte not in WHITESPACE:
            self._take_between(byte)
        elif self._at is JsonState.NUMBER:
            self._at = JsonState.COMMA_OR_END

    def _take_in_string(self, byte: int) -> None:
        if self._rest:
            self._rest = self._rest_of_escape(byte)
        elif byte == ord('"'):
            self._at = JsonState.COLON if self._is_key else JsonState.COMMA_OR_END
        elif byte == ord("\\"):
            self._rest = b"n"
        elif byte >= 0xC2:
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            self._rest = SECOND_BYTES.get(byte, CONTINUATION) + CONTINUATION * (length - 2)

    def _rest_of_escape(self, byte: int) -> bytes:
        if self._rest == b"n":
            return b"0000" if byte == ord("u") else b""
        return self._rest[1:]

    def _take_in_literal(self) -> None:
        self._rest = self._rest[1:]
        if not self._rest:
            self._at = JsonState.COMMA_OR_END

    def _take_between(self, byte: int) -> None:
        """Takes a byte outside strings and literals that isn't whitespace. It may end a number."""
        if byte in CLOSERS:
            self._open.append(byte)
            self._at = JsonState.KEY_OR_END if byte == ord("{") else JsonState.VALUE_OR_END
        elif byte in b"}]":
            self._open.pop()
            self._at = JsonState.COMMA_OR_END if self._open else JsonState.END
        elif byte == ord(","):
            self._at = JsonState.KEY if self._open[-1] == ord("{") else JsonState.VALUE
        elif byte == ord(":"):
            self._at = JsonState.VALUE
        elif byte == ord('"'):
            self._is_key = self._at in (JsonState.KEY, JsonState.KEY_OR_END)
            self._at = JsonState.STRING
        elif byte in LITERALS:
            self._at, self._rest = JsonState.LITERAL, LITERALS[byte]
        else:
            self._at, self._rest = JsonState.NUMBER, b"0" if byte == ord("-") else b""
