"""Encodes messages as the token ids of a prompt. Only the template can write special tokens: text inside a message is
never parsed as one.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from oruel.errors import InvalidParameter
from oruel.text.matching import alternatives, occurrences
from oruel.text.prompt.budget import WHOLE, RenderLimits
from oruel.text.prompt.special_tokens import MarkedTemplate
from oruel.text.prompt.template import ChatTemplate
from oruel.types import Message, Tool
from oruel.vocabulary.base import PromptVocabulary
from oruel.vocabulary.space_prefix import tokenize_continuation

WHITESPACE = " \t\n\v\f\r"

# User-defined tokens of this form steer the model like control tokens; others, such as runs of newlines, are text.
TAG = re.compile(r"<[^\s<>]+>|\[[^\s\[\]]+\]|<\|.+\|>", re.DOTALL)

# Gemma's vocabulary has these as user-defined tokens, and its models read HTML with them.
HTML = re.compile(
    "</?(?:a|b|blockquote|br|caption|code|em|h[1-6]|i|li|ol|p|pre|s|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|u|ul)>"
)


class PromptEncoder:
    """Tokenises the whole rendered text with special tokens parsed, except that none is parsed from a message or a
    keyword argument.
    """

    def __init__(self, vocabulary: PromptVocabulary, template: ChatTemplate) -> None:
        self._vocabulary = vocabulary
        control = {text: token for text, token in vocabulary.control_tokens.items() if text}
        tags = {text: token for text, token in vocabulary.user_defined_tokens.items() if is_tag(text)}
        self._special = tags | control
        self._control = frozenset(control.values())
        self._tag_pattern = alternatives(tags)
        self._special_pattern = alternatives(self._special)
        self._template = MarkedTemplate(template, self._special)
        self._strips = {self._special[text] for text in self._template.written if self._strips_right(text)}

    def encode(
        self,
        messages: Sequence[Message],
        kwargs: Mapping[str, Any],
        tools: Sequence[Tool] = (),
        *,
        limits: RenderLimits = WHOLE,
    ) -> list[int]:
        """Raises InvalidParameter if the template rejects the messages or the arguments, TemplateTooCostly."""
        tokens: list[int] = []
        for text, special in self._template.segments(messages, kwargs, tools, limits=limits):
            if special:
                tokens.append(self._special[text])
            else:
                stripped = bool(tokens) and tokens[-1] in self._strips
                tokens += self.encode_text(text.lstrip(WHITESPACE) if stripped else text)
        return self._with_bos(tokens)

    def encode_text(self, text: str) -> list[int]:
        """The ids of a client's text, without BOS. Special tokens are not parsed."""
        tokens = self._tokenize_split(text, self._tag_pattern)
        if not self._control.isdisjoint(tokens):
            # Some tokenizers merge plain characters into control tokens, whatever the options.
            tokens = self._tokenize_split(text, self._special_pattern)
        if not self._control.isdisjoint(tokens):
            raise InvalidParameter(
                "The text contains characters that this model can't distinguish from one of its control tokens. Leave "
                "them out.",
                param="messages",
            )
        return tokens

    def _tokenize_split(self, text: str, pattern: re.Pattern[str]) -> list[int]:
        """The tokens of `text`, split inside each match, so that no match becomes a special token."""
        cuts = [0, *(start + 1 for _, start in occurrences(pattern, text)), len(text)]
        first, *others = (text[start:end] for start, end in pairwise(cuts))
        tokenize, prefix = self._vocabulary.tokenize, self._vocabulary.adds_space_prefix
        return tokenize(first) + [
            token for part in others for token in tokenize_continuation(tokenize, part, adds_space_prefix=prefix)
        ]

    def _strips_right(self, text: str) -> bool:
        """Whether white space after this special token is dropped, as with Phi-3."""
        return self._vocabulary.tokenize(text + WHITESPACE, special=True) == [self._special[text]]

    def _with_bos(self, tokens: list[int]) -> list[int]:
        bos = self._vocabulary.bos
        if not self._vocabulary.adds_bos or bos is None or tokens[:1] == [bos]:
            return tokens
        return [bos, *tokens]


def is_tag(text: str) -> bool:
    return TAG.fullmatch(text) is not None and HTML.fullmatch(text) is None
