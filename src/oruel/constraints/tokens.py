"""A model's tokens as llguidance needs them, made once a model: their bytes, and which of them end its turn."""

from functools import cached_property
from typing import Protocol

import llguidance

from oruel.constraints.json_text import CLOSING_BYTES


class Vocabulary(Protocol):
    """What is asked of a model's vocabulary; llama.vocabulary.Vocabulary has it."""

    size: int

    def piece(self, token: int) -> bytes: ...

    def is_end(self, token: int) -> bool: ...

    def tokenize(self, text: str) -> list[int]: ...


class Tokens:
    """`pieces` holds each token's bytes, none for control tokens; `single` the token of each byte that has its own."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.size = vocabulary.size
        self.pieces = [vocabulary.piece(token) for token in range(vocabulary.size)]
        self.single = {piece[0]: token for token, piece in enumerate(self.pieces) if len(piece) == 1}
        self.ends = frozenset(filter(vocabulary.is_end, range(vocabulary.size)))
        self.can_write_json = bool(self.ends) and all(byte in self.single for byte in CLOSING_BYTES)
        self._vocabulary = vocabulary

    @cached_property
    def _tokenizer(self) -> llguidance.LLTokenizer:
        ends = sorted(self.ends)
        wrapped = llguidance.TokenizerWrapper(_Wrapped(self, self._vocabulary, ends[0]))
        return llguidance.LLTokenizer(wrapped, n_vocab=self.size, eos_token=ends)

    def matcher(self, grammar: str) -> llguidance.LLMatcher:
        """For a grammar that is known to be good, of a model that has end tokens."""
        matcher = llguidance.LLMatcher(self._tokenizer, grammar)
        assert not matcher.is_error(), matcher.get_error()
        return matcher


class _Wrapped:
    """The fields that llguidance's wrapper reads."""

    def __init__(self, tokens: Tokens, vocabulary: Vocabulary, end: int) -> None:
        self.eos_token_id = end
        self.bos_token_id = None
        self.tokens = tokens.pieces
        self.special_token_ids: list[int] = []
        self._single = tokens.single
        self._vocabulary = vocabulary

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of exactly these bytes: some tokenizers put a space before any text."""
        found = self._vocabulary.tokenize(text.decode())
        if b"".join(self.tokens[token] for token in found) == text:
            return found
        return [self._single[byte] for byte in text if byte in self._single]
