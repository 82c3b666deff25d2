"""Converts text to token ids and back with the model's own tokenizer. Thread-safe."""

from functools import cached_property
from typing import Any, Protocol

from oruel.errors import ContextLengthExceeded
from oruel.llama import bindings
from oruel.llama.cuts import MAX_CHARACTERS, UNCUT_PRETOKENIZERS
from oruel.llama.library import Library
from oruel.vocabulary.cuts import cut_text
from oruel.vocabulary.space_prefix import finds_space_prefix
from oruel.vocabulary.spelling import spell

MAX_INT32 = 2**31 - 1
PIECE_BYTES = 64


class VocabularyOwner(Protocol):
    """The part of a model that a vocabulary needs."""

    library: Library

    @property
    def pointer(self) -> Any: ...

    def metadata(self, key: str) -> str | None: ...


class GgufVocabulary:
    """The tokens of one model. A vocabulary keeps its model alive."""

    def __init__(self, model: VocabularyOwner) -> None:
        self._model = model
        self._ffi = model.library.ffi
        self._lib = model.library.lib
        vocabulary = self._lib.llama_model_get_vocab(model.pointer)
        kind = self._lib.llama_vocab_type(vocabulary)
        self.size: int = 0 if kind == bindings.VOCABULARY_NONE else self._lib.llama_vocab_n_tokens(vocabulary)
        self._needs_cuts = (
            kind == bindings.VOCABULARY_BYTE_PAIRS and model.metadata("tokenizer.ggml.pre") not in UNCUT_PRETOKENIZERS
        )
        self._pieces: list[bytes | None] = [None] * self.size

    @property
    def _pointer(self) -> Any:
        return self._lib.llama_model_get_vocab(self._model.pointer)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The token ids of `text`, without BOS or EOS.

        Names of control tokens in `text` become control tokens only if `special` is set; otherwise they stay plain
        text. `text` must not contain lone surrogates. Raises ContextLengthExceeded for more than 2**31 - 1 bytes or
        tokens.
        """
        parts = cut_text(text, MAX_CHARACTERS) if self._needs_cuts else [text]
        tokens = [token for part in parts for token in self._tokenize(part.encode(), special)]
        if special or self._controls.isdisjoint(tokens):
            return tokens
        # llama.cpp may merge normal tokens, such as "[IN" and "ST]", into a control token.
        return [
            part
            for token in tokens
            for part in (spell(self.token_text(token), self._tokens_by_piece) if token in self._controls else [token])
        ]

    @cached_property
    def _controls(self) -> frozenset[int]:
        return frozenset(self.control_tokens.values())

    @cached_property
    def _tokens_by_piece(self) -> dict[bytes, int]:
        return {self.piece(token): token for token in reversed(range(self.size))}

    def _tokenize(self, text: bytes, special: bool) -> list[int]:
        if len(text) > MAX_INT32:
            raise ContextLengthExceeded(f"A text of {len(text)} bytes is too long to tokenize. Send a shorter text.")
        room = len(text) + 1  # one token for each byte, and one for the space that a tokenizer may add
        while True:
            tokens = self._ffi.new("int32_t[]", room)
            count = self._lib.llama_tokenize(self._pointer, text, len(text), tokens, room, False, special)
            if count >= 0:
                return list(self._ffi.unpack(tokens, count))
            if count < -MAX_INT32:
                raise ContextLengthExceeded(f"A text of {len(text)} bytes has too many tokens. Send a shorter text.")
            room = -count

    def piece(self, token: int) -> bytes:
        """The bytes that `token` adds to a text; empty for a control token. They may end inside a character."""
        assert 0 <= token < self.size, token
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def _read_piece(self, token: int) -> bytes:
        room = PIECE_BYTES
        while True:
            buffer = self._ffi.new("char[]", room)
            length = self._lib.llama_token_to_piece(self._pointer, token, buffer, room, 0, False)
            if length >= 0:
                return bytes(self._ffi.buffer(buffer, length))
            room = -length

    def token_text(self, token: int) -> str:
        """The name of `token` in the vocabulary, such as `<|im_end|>`, or `Ġthe` in a byte-level vocabulary."""
        assert 0 <= token < self.size, token
        text = self._ffi.string(self._lib.llama_vocab_get_text(self._pointer, token))
        return bytes(text).decode(errors="replace")

    def is_end(self, token: int) -> bool:
        """Whether `token` ends generation: an end-of-text, end-of-turn or end-of-message token."""
        assert 0 <= token < self.size, token
        return bool(self._lib.llama_vocab_is_eog(self._pointer, token))

    @cached_property
    def control_tokens(self) -> dict[str, int]:
        """Maps the names of control tokens to their ids. Control tokens have no text."""
        return self._tokens_with_attribute(bindings.TOKEN_CONTROL)

    @cached_property
    def user_defined_tokens(self) -> dict[str, int]:
        """Maps the names of user-defined tokens to their ids. `tokenize` matches these tokens in any text."""
        return self._tokens_with_attribute(bindings.TOKEN_USER_DEFINED)

    def _tokens_with_attribute(self, attribute: int) -> dict[str, int]:
        pointer, attributes = self._pointer, self._lib.llama_vocab_get_attr
        return {self.token_text(token): token for token in range(self.size) if attributes(pointer, token) & attribute}

    @cached_property
    def bos(self) -> int | None:
        return self._token_or_none(self._lib.llama_vocab_bos(self._pointer))

    @cached_property
    def eos(self) -> int | None:
        return self._token_or_none(self._lib.llama_vocab_eos(self._pointer))

    @cached_property
    def adds_bos(self) -> bool:
        """Whether prompts for this model must start with BOS."""
        return bool(self._lib.llama_vocab_get_add_bos(self._pointer))

    @cached_property
    def adds_space_prefix(self) -> bool:
        """Whether `tokenize` adds a space before the text."""
        return finds_space_prefix(self.tokenize, self.piece)

    def _token_or_none(self, token: int) -> int | None:
        return token if 0 <= token < self.size else None
