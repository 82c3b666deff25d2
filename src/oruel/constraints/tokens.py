"""A model's tokens as llguidance needs them, prepared once per model: their bytes, and which of them end a turn."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounded_cache import BoundedCache
from oruel.constraints.json_text import CLOSING_BYTES
from oruel.errors import SchemaRefused
from oruel.vocabulary.base import TokenVocabulary

# Forced text takes the library about 400 bytes per character.
CACHED_GRAMMARS, CACHED_CHARACTERS = 32, 2**18

# Limits of a grammar's work per step and of its memory: at most half of the library's defaults.
LIMITS = llguidance.LLParserLimits(
    step_lexer_fuel=100_000, max_lexer_states=100_000, max_grammar_size=200_000, verbose_errors=False
)
# Parts of the messages with which the library reports that a limit was reached.
TOO_WIDE = re.compile(r"row has \d+ items")
POINTS_NOWHERE = re.compile("Pointer '(.*)' does not exist")
LIMIT_SIGNS = ("TooComplex", "limit", "too many", "too big", "too large", "fuel")
PANIC_MESSAGE = "the library that enforces schemas fails on it: make it simpler"
# Parts of unclear messages of the library, with the text to show instead.
MESSAGES = {
    "Unable to determine if regex is empty": "its patterns, formats and lengths are too complex together",
    "panic:": PANIC_MESSAGE,
    "egex is empty": "no string fits its patterns, formats, lengths and values together",
    "anyOf is empty": "its type, enum, anyOf, oneOf or not leaves no value",
    "invalid multiple of": "its multipleOf has to be greater than 0",
    "number out of range": "one of its numbers is too large",
}
# The most forced text to tokenise at once, since the library asks for all of it at every step.
MAX_FORCED_BYTES = 2048


@contextmanager
def panics_refused() -> Iterator[None]:
    """Raises SchemaRefused for a panic of the library, which isn't an Exception and whose class can't be imported; and
    for a schema that is too deep for recursion.
    """
    try:
        yield
    except RecursionError as error:
        raise SchemaRefused("its subschemas nest too deep: nest less") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise SchemaRefused(PANIC_MESSAGE) from error


class TokenTable:
    """`pieces` are the bytes of each token, empty for control tokens. `single` maps each byte to its own token."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        self.size = vocabulary.size
        self.pieces = [vocabulary.piece(token) for token in range(vocabulary.size)]
        self.single = {piece[0]: token for token, piece in enumerate(self.pieces) if len(piece) == 1}
        self.ends = frozenset(filter(vocabulary.is_end, range(vocabulary.size)))
        self.can_write_json = bool(self.ends) and all(byte in self.single for byte in CLOSING_BYTES)
        self._vocabulary = vocabulary
        self._compiled = BoundedCache(self._compile, CACHED_GRAMMARS, CACHED_CHARACTERS)

    @cached_property
    def tokenizer(self) -> llguidance.LLTokenizer:
        wrapped = llguidance.TokenizerWrapper(self._adapter)
        return llguidance.LLTokenizer(wrapped, n_vocab=self.size, eos_token=sorted(self.ends))

    @cached_property
    def _adapter(self) -> "_TokenizerAdapter":
        return _TokenizerAdapter(self, self._vocabulary, min(self.ends))

    def prepare(self) -> None:
        """Builds everything that depends only on the vocabulary, so that no request has to wait for it."""
        self.matcher('start: "{"').compute_bitmask()
        _ = self.shortest_first, self.single_first

    def matcher(self, grammar: str) -> llguidance.LLMatcher:
        """A matcher at the beginning of the grammar. Needs a model with end tokens. Raises SchemaRefused for a bad
        grammar.
        """
        return self._compiled.get(grammar).deep_copy()

    def forget(self, grammar: str) -> None:
        """Drops a compiled grammar. Matchers of one grammar share their lexer, so all of them fail
        if one does.
        """
        self._compiled.forget(grammar)

    def spell(self, data: bytes) -> list[int] | None:
        """One token per byte; None if a byte has no token of its own."""
        found = [self.single.get(byte, -1) for byte in data]
        return None if -1 in found else found

    def write(self, data: bytes) -> list[int] | None:
        """The model's own tokens of these bytes, or one token per byte if they begin or end within a character."""
        try:
            data.decode()
        except UnicodeDecodeError:
            return self.spell(data)
        return self._adapter.tokenize_exactly(data)

    def only(self, token: int) -> NDArray[np.uint8]:
        """The mask that allows one token."""
        bits = np.zeros((self.size + 7) // 8, np.uint8)
        bits[token >> 3] = 1 << (token & 7)
        return bits

    @cached_property
    def single_first(self) -> NDArray[np.intp]:
        """The tokens of single bytes, by id."""
        return np.array(sorted(self.single.values()), np.intp)

    @cached_property
    def shortest_first(self) -> NDArray[np.intp]:
        """All text tokens, by length in bytes, then by id."""
        written = [token for token in range(self.size) if self.pieces[token]]
        return np.array(sorted(written, key=lambda token: len(self.pieces[token])), np.intp)

    @property
    def cached_grammars(self) -> int:
        """The number of compiled grammars in memory."""
        return len(self._compiled)

    def _compile(self, grammar: str) -> llguidance.LLMatcher:
        matcher = llguidance.LLMatcher(self.tokenizer, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise SchemaRefused(plain_message(matcher.get_error()))
        # Only the first mask shows whether anything can be written at all; computing it here also caches its cost.
        bits = matcher.compute_bitmask()
        if matcher.is_error() or not any(bits):
            raise refusal_of(matcher)
        return matcher


def refusal_of(matcher: llguidance.LLMatcher) -> SchemaRefused:
    """The reason why the matcher failed, without the library's internal state."""
    complaint = f"{matcher.stop_reason()} {matcher.get_error()}".partition("\n")[0]
    return SchemaRefused(limit_reached(complaint) or "no document can be written that fits it")


def limit_reached(complaint: str) -> str:
    """The message for an exceeded limit; empty if the complaint is about something else."""
    if TOO_WIDE.search(complaint):
        return "too many properties or alternatives may come next at one place: require more properties, or use fewer"
    if any(sign in complaint for sign in LIMIT_SIGNS):
        return "its patterns, lengths or nesting are too complex to enforce: make it simpler"
    return ""


def plain_message(complaint: str) -> str:
    """The complaint on one line, without the library's internal state."""
    for part, message in MESSAGES.items():
        if part in complaint:
            return message
    if pointer := POINTS_NOWHERE.search(complaint):
        return f"its $ref #{pointer[1][:200]} refers to nothing in it"
    return limit_reached(complaint) or " ".join(complaint.split())


class ByteVocabulary:
    """One token per byte and one end token, which is enough to test what a grammar allows."""

    size = 257

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""

    def is_end(self, token: int) -> bool:
        return token == 256

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())


class _TokenizerAdapter:
    """The attributes that llguidance's wrapper reads."""

    def __init__(self, tokens: TokenTable, vocabulary: TokenVocabulary, end: int) -> None:
        self.eos_token_id = end
        self.bos_token_id = None
        self.tokens = tokens.pieces
        self.special_token_ids: list[int] = []
        self._single = tokens.single
        self._vocabulary = vocabulary

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of exactly these bytes, or of the beginning of a long text."""
        if len(text) <= MAX_FORCED_BYTES:
            return self.tokenize_exactly(text)
        # The last token might continue after the cut.
        return self.tokenize_exactly(text[:MAX_FORCED_BYTES].decode(errors="ignore").encode())[:-1]

    def tokenize_exactly(self, text: bytes) -> list[int]:
        """Falls back to one token per byte, since some tokenizers put a space before every text."""
        found = self._vocabulary.tokenize(text.decode())
        if b"".join(self.tokens[token] for token in found) == text:
            return found
        return [self._single[byte] for byte in text if byte in self._single]
