"""A vocabulary for a model that may have more logits than its tokenizer has tokens."""

from collections.abc import Mapping

from oruel.vocabulary.base import Vocabulary


class PaddedVocabulary:
    """Tokens at `vocabulary.size` and above are padding: they have no text and end nothing. Otherwise like
    `vocabulary`, whose `size` stays.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    @property
    def size(self) -> int:
        return self._vocabulary.size

    def piece(self, token: int) -> bytes:
        return b"" if token >= self.size else self._vocabulary.piece(token)

    def token_text(self, token: int) -> str:
        """Padding is named as in GGUF files."""
        return f"[PAD{token}]" if token >= self.size else self._vocabulary.token_text(token)

    def is_end(self, token: int) -> bool:
        return token < self.size and self._vocabulary.is_end(token)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return self._vocabulary.tokenize(text, special=special)

    @property
    def control_tokens(self) -> Mapping[str, int]:
        return self._vocabulary.control_tokens

    @property
    def user_defined_tokens(self) -> Mapping[str, int]:
        return self._vocabulary.user_defined_tokens

    @property
    def bos(self) -> int | None:
        return self._vocabulary.bos

    @property
    def eos(self) -> int | None:
        return self._vocabulary.eos

    @property
    def adds_bos(self) -> bool:
        return self._vocabulary.adds_bos

    @property
    def adds_space_prefix(self) -> bool:
        return self._vocabulary.adds_space_prefix
