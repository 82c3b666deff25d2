"""The interface of a model's vocabulary, in the parts that its users need. Implementations are thread-safe.

llama.vocabulary.GgufVocabulary and hugging_face.vocabulary.HuggingFaceVocabulary implement all of it.
"""

from collections.abc import Mapping
from typing import Protocol


class TokenVocabulary(Protocol):
    """The tokens, as constraints need them. `size`: a token id is at least 0 and less than it."""

    @property
    def size(self) -> int: ...

    def piece(self, token: int) -> bytes:
        """The bytes that `token` adds to a text; empty for a control token. They may end inside a character."""

    def is_end(self, token: int) -> bool:
        """Whether `token` ends generation: an end-of-text, end-of-turn or end-of-message token."""

    def tokenize(self, text: str) -> list[int]:
        """See PromptVocabulary."""


class PromptVocabulary(Protocol):
    """What encoding a prompt needs."""

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The token ids of `text`, without BOS or EOS.

        Names of control tokens in `text` become control tokens only if `special` is set; otherwise they stay plain
        text. `text` must not contain lone surrogates. Raises ContextLengthExceeded if `text` is too long for the
        tokenizer.
        """

    @property
    def control_tokens(self) -> Mapping[str, int]:
        """Maps the names of control tokens to their ids. Control tokens have no text."""

    @property
    def user_defined_tokens(self) -> Mapping[str, int]:
        """Maps the names of user-defined tokens to their ids. `tokenize` matches these tokens in any text."""

    @property
    def bos(self) -> int | None: ...

    @property
    def adds_bos(self) -> bool:
        """Whether prompts for this model must start with BOS."""

    @property
    def adds_space_prefix(self) -> bool:
        """Whether `tokenize` adds a space before the text."""


class Vocabulary(TokenVocabulary, PromptVocabulary, Protocol):
    """The tokens of one model."""

    def tokenize(self, text: str, *, special: bool = False) -> list[int]: ...

    def token_text(self, token: int) -> str:
        """The name of `token` in the vocabulary, such as `<|im_end|>`, or `Ġthe` in a byte-level vocabulary."""

    @property
    def eos(self) -> int | None: ...
