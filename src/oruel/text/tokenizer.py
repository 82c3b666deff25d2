"""One model's text side: its vocabulary and its chat template together. Safe to call from any thread."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from oruel.llama.vocabulary import Vocabulary
from oruel.text.prompt import PromptEncoder
from oruel.text.template import CHATML, ChatTemplate
from oruel.types import Message


class Tokenizer:
    """`template` is the Jinja source that the model came with; models without one get ChatML."""

    def __init__(self, vocabulary: Vocabulary, template: str | None) -> None:
        """Raises ModelLoadError where the template is none."""
        self._vocabulary = vocabulary
        chat_template = ChatTemplate(
            template or CHATML, bos_text=self._text_of(vocabulary.bos), eos_text=self._text_of(vocabulary.eos)
        )
        self._encoder = PromptEncoder(vocabulary, chat_template)

    def encode_messages(self, messages: Sequence[Message], kwargs: Mapping[str, Any]) -> list[int]:
        """The prompt, which ends where the answer begins. Raises InvalidParameter where the template refuses."""
        return self._encoder.encode(messages, kwargs)

    def encode_text(self, text: str) -> list[int]:
        """The tokens of a text alone: no BOS, and nothing in it is a special token."""
        return self._encoder.encode_text(text)

    @cached_property
    def longest_piece(self) -> int:
        """In bytes: a text of n bytes has at least n / longest_piece tokens, which costs nothing to know."""
        return max(len(self._vocabulary.piece(token)) for token in range(self._vocabulary.size))

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def token_text(self, token: int) -> str:
        return self._vocabulary.token_text(token)

    def _text_of(self, token: int | None) -> str:
        return "" if token is None else self._vocabulary.token_text(token)
