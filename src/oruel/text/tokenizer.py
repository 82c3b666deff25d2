"""The text side of one model: its vocabulary and its chat template. Thread-safe."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oruel.constraints.spec import ConstraintSpec
from oruel.text.answer.reader import AnswerReader
from oruel.text.arguments.json import JSON
from oruel.text.arguments.unenforced import describe_unenforced
from oruel.text.dialect import ChannelDialect, Dialect, PlainDialect
from oruel.text.formats.calls import HERMES, ToolFormat
from oruel.text.formats.detect import detect_support
from oruel.text.formats.families import Family, family_of
from oruel.text.formats.reasoning import State, find_markers
from oruel.text.matching import alternatives
from oruel.text.prompt.budget import WHOLE, RenderLimits
from oruel.text.prompt.encoder import PromptEncoder
from oruel.text.prompt.generic_tools import with_tools
from oruel.text.prompt.template import CHATML, ChatTemplate
from oruel.types import ChatRequest, Message
from oruel.vocabulary.base import Vocabulary

# The last tokens of a prompt, enough to contain the marker that opens reasoning, however it is tokenised.
TAIL = 16


@dataclass(frozen=True, slots=True)
class Prompt:
    """`state`: how the answer begins after these tokens."""

    tokens: list[int]
    state: State = State.TEXT


class Tokenizer:
    """`template` is the Jinja source from the model file; models without one get ChatML. If `describes_tools`, tools
    are described in a system message when the template can't do it.
    """

    def __init__(self, vocabulary: Vocabulary, template: str | None, *, describes_tools: bool = False) -> None:
        """Raises ModelLoadError for an invalid template."""
        self._vocabulary = vocabulary
        self.has_template = bool(template)
        source = template or CHATML
        family = family_of(source)
        chat_template = ChatTemplate(
            (family.prelude if family else "") + source,
            bos_text=self._text_of(vocabulary.bos),
            eos_text=self._text_of(vocabulary.eos),
        )
        self._encoder = PromptEncoder(vocabulary, chat_template)
        known = self._known_formats(chat_template, family)
        self._generic = not known and describes_tools
        self._arguments = known[0].arguments if known else JSON
        self.has_tools = bool(known) or describes_tools
        self._dialect = self._build_dialect(chat_template, family, known)

    @property
    def vocabulary_size(self) -> int:
        return self._vocabulary.size

    def encode_request(self, request: ChatRequest, *, limits: RenderLimits = WHOLE) -> Prompt:
        """Raises InvalidParameter if the template rejects the request, TemplateTooCostly."""
        offered = request.tools if request.calls_tools else ()
        messages: Sequence[Message] = request.messages
        if self._generic:
            messages, offered = with_tools(messages, offered), ()
        tokens = self._encoder.encode(messages, request.chat_template_kwargs, offered, limits=limits)
        tail = b"".join(self.piece(token) or self.token_text(token).encode() for token in tokens[-TAIL:])
        return Prompt(tokens, self._dialect.state_after(tail.decode(errors="replace")))

    def encode_messages(self, messages: Sequence[Message], kwargs: Mapping[str, Any]) -> list[int]:
        """The prompt, up to where the answer begins. Raises InvalidParameter if the template rejects the messages."""
        return self._encoder.encode(messages, kwargs)

    def encode_text(self, text: str) -> list[int]:
        """The tokens of a text alone, without BOS. Special tokens are not parsed."""
        return self._encoder.encode_text(text)

    def left_out(self, request: ChatRequest) -> tuple[str, ...]:
        """The keywords of the tools' schemas that this model's call format can't enforce although JSON could, each as
        "parameter: keywords". Takes up to a second for an adversarial schema.

        Raises InvalidParameter for a tool that this model can't call, UnsupportedParameter if the tool is strict.
        """
        if not request.calls_tools:
            return ()
        return describe_unenforced(request.tools, self._arguments)

    def constraint(self, request: ChatRequest, state: State) -> ConstraintSpec | None:
        """What constrains the answer; None if nothing does."""
        return self._dialect.constraint(request, state)

    def reader(self, request: ChatRequest, state: State) -> AnswerReader | None:
        """The parser of the answer; None if the whole answer is content."""
        return self._dialect.reader(request, state)

    def shown(self, token: int) -> bytes:
        """Like `piece`, but with the text of those control tokens that mark reasoning and calls."""
        return self._marks.get(token) or self._vocabulary.piece(token)

    @cached_property
    def longest_piece(self) -> int:
        """In bytes. A text of n bytes has at least n / longest_piece tokens, a bound that costs nothing."""
        return max(len(self._vocabulary.piece(token)) for token in range(self._vocabulary.size))

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def token_text(self, token: int) -> str:
        return self._vocabulary.token_text(token)

    @cached_property
    def _marks(self) -> Mapping[int, bytes]:
        texts = "\n".join(self._dialect.texts)
        control = self._vocabulary.control_tokens.items()
        return {token: text.encode() for text, token in control if text and text in texts}

    def _known_formats(self, template: ChatTemplate, family: Family | None) -> tuple[ToolFormat, ...]:
        supported = detect_support(template, family)
        formats = [form.truncate_at(self._ends) for form in supported.formats] if supported.is_complete else []
        return tuple(form for form in formats if form)

    def _build_dialect(self, template: ChatTemplate, family: Family | None, known: tuple[ToolFormat, ...]) -> Dialect:
        control = self._vocabulary.control_tokens
        formats = (HERMES,) if self._generic else known
        if family and family.channels:
            return ChannelDialect(control, self._tokenize, family.channels.truncate_at(self._ends), formats)
        return PlainDialect(control, self._tokenize, find_markers(template.source), formats[0] if formats else None)

    @cached_property
    def _ends(self) -> list[str]:
        """The texts of the tokens that end the model's turn."""
        ends = (token for token in range(self._vocabulary.size) if self._vocabulary.is_end(token))
        return [text for token in ends if (text := self.token_text(token))]

    def _tokenize(self, text: str) -> list[int]:
        control = self._vocabulary.control_tokens
        parts = re.split(f"({alternatives(control).pattern})", text)
        return [token for part in parts if part for token in self._tokens_of(part)]

    def _tokens_of(self, text: str) -> list[int]:
        control = self._vocabulary.control_tokens
        return [control[text]] if text in control else self._vocabulary.tokenize(text)

    def _text_of(self, token: int | None) -> str:
        return "" if token is None else self._vocabulary.token_text(token)
