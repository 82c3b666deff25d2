"""One model's text side: its vocabulary and its chat template together. Safe to call from any thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oruel.engine.protocol import Form
from oruel.llama.vocabulary import Vocabulary
from oruel.text.answer import AnswerReader
from oruel.text.budget import WHOLE, Limits
from oruel.text.forms import Forms
from oruel.text.prompt import PromptEncoder
from oruel.text.reasoning import State, markers_in, state_after
from oruel.text.template import CHATML, ChatTemplate
from oruel.text.tools.derive import support
from oruel.text.tools.format import HERMES, ToolFormat
from oruel.text.tools.generic import with_tools
from oruel.types import ChatRequest, Message

# As many tokens from a prompt's end hold the marker that opens reasoning, however it is spelt.
TAIL = 16


@dataclass(frozen=True, slots=True)
class Prompt:
    """`state`: how the answer begins behind these tokens."""

    tokens: list[int]
    state: State = State.TEXT


class Tokenizer:
    """`template` is the Jinja source that the model came with; models without one get ChatML. `describes_tools`: tools
    are described to the model in a message of our own, where its template doesn't do it.
    """

    def __init__(self, vocabulary: Vocabulary, template: str | None, *, describes_tools: bool = False) -> None:
        """Raises ModelLoadError where the template is none."""
        self._vocabulary = vocabulary
        chat_template = ChatTemplate(
            template or CHATML, bos_text=self._text_of(vocabulary.bos), eos_text=self._text_of(vocabulary.eos)
        )
        self._encoder = PromptEncoder(vocabulary, chat_template)
        self._markers = markers_in(chat_template.source)
        known = self._known_format(chat_template)
        self._generic = known is None and describes_tools
        self._format = HERMES if self._generic else known
        close = self._markers.close if self._markers else ""
        self._forms = Forms(vocabulary.control_tokens, self._markers, self._spelt(close))

    @property
    def vocabulary_size(self) -> int:
        return self._vocabulary.size

    @property
    def has_tools(self) -> bool:
        return self._format is not None

    def encode_request(self, request: ChatRequest, *, limits: Limits = WHOLE) -> Prompt:
        """Raises InvalidParameter where the template refuses, TemplateTooCostly."""
        offered = request.tools if request.tool_choice.mode != "none" else ()
        messages: Sequence[Message] = request.messages
        if self._generic:
            messages, offered = with_tools(messages, offered), ()
        tokens = self._encoder.encode(messages, request.chat_template_kwargs, offered, limits=limits)
        tail = b"".join(self.piece(token) or self.token_text(token).encode() for token in tokens[-TAIL:])
        return Prompt(tokens, state_after(tail.decode(errors="replace"), self._markers))

    def encode_messages(self, messages: Sequence[Message], kwargs: Mapping[str, Any]) -> list[int]:
        """The prompt, which ends where the answer begins. Raises InvalidParameter where the template refuses."""
        return self._encoder.encode(messages, kwargs)

    def encode_text(self, text: str) -> list[int]:
        """The tokens of a text alone: no BOS, and nothing in it is a special token."""
        return self._encoder.encode_text(text)

    def form(self, request: ChatRequest, state: State) -> Form | None:
        """What the answer has to be like; None where it is free."""
        choice = request.tool_choice
        if choice.mode != "none" and self._format:
            tools = [tool for tool in request.tools if tool.name in choice.names]
            must, several = choice.mode == "required", request.parallel_tool_calls
            return self._forms.calls(self._format, tools, state, must=must, several=several)
        if request.response_format.type != "text":
            return self._forms.document(request.response_format, state)
        return None

    def reader(self, request: ChatRequest, state: State) -> AnswerReader | None:
        """What tells the parts of the answer apart; None where all of it is content."""
        calls = self._format if request.tool_choice.mode != "none" else None
        if state is State.TEXT and calls is None:
            return None
        return AnswerReader(self._markers, state, calls, {tool.name: tool for tool in request.tools})

    def shown(self, token: int) -> bytes:
        """As `piece`, and the texts of the control tokens that formats and reasoning are marked with."""
        return self._marks.get(token) or self._vocabulary.piece(token)

    @cached_property
    def longest_piece(self) -> int:
        """In bytes: a text of n bytes has at least n / longest_piece tokens, which costs nothing to know."""
        return max(len(self._vocabulary.piece(token)) for token in range(self._vocabulary.size))

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def token_text(self, token: int) -> str:
        return self._vocabulary.token_text(token)

    @cached_property
    def _marks(self) -> Mapping[int, bytes]:
        texts = repr(self._format and self._format.texts) + repr(self._markers)
        control = self._vocabulary.control_tokens.items()
        return {token: text.encode() for text, token in control if text and text in texts}

    def _known_format(self, template: ChatTemplate) -> ToolFormat | None:
        supported = support(template)
        ends = [self.token_text(token) for token in range(self._vocabulary.size) if self._vocabulary.is_end(token)]
        return supported.format.before(list(filter(None, ends))) if supported.format and supported.is_whole else None

    def _spelt(self, text: str) -> list[int]:
        control = self._vocabulary.control_tokens
        return [control[text]] if text in control else self._vocabulary.tokenize(text)

    def _text_of(self, token: int | None) -> str:
        return "" if token is None else self._vocabulary.token_text(token)
