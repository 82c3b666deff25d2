"""The answer format of one model: how an answer begins, its constraint and its parser."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from oruel.constraints.spec import ConstraintSpec, DocumentOrCallsSpec
from oruel.errors import UnsupportedParameter
from oruel.text.answer.channel_reader import ChannelReader
from oruel.text.answer.plain_reader import PlainReader
from oruel.text.answer.reader import AnswerReader
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.channels import Channels
from oruel.text.formats.reasoning import Markers, State, state_after
from oruel.text.grammars.channels import ChannelGrammars
from oruel.text.grammars.plain import PlainGrammars
from oruel.text.placeholders import CONSTRAIN
from oruel.types import ChatRequest


class Dialect(Protocol):
    """`texts` are the markers of this format."""

    @property
    def texts(self) -> Collection[str]: ...

    def state_after(self, prompt: str) -> State:
        """How an answer begins after `prompt`; the end of the prompt is enough."""
        ...

    def constraint(self, request: ChatRequest, state: State) -> ConstraintSpec | None:
        """The constraint of the answer; None if there is none."""
        ...

    def reader(self, request: ChatRequest, state: State) -> AnswerReader | None:
        """None if the whole answer is content."""
        ...


class PlainDialect:
    """Text, possibly after reasoning between `markers`, possibly with tool calls."""

    def __init__(
        self,
        control: Mapping[str, int],
        tokenize: Callable[[str], list[int]],
        markers: Markers | None,
        tool_format: ToolFormat | None,
    ) -> None:
        self._markers = markers
        self._format = tool_format
        self._grammars = PlainGrammars(control, markers, tokenize(markers.close if markers else ""))

    @property
    def texts(self) -> Collection[str]:
        marks = (self._markers.open, self._markers.close) if self._markers else ()
        return (*marks, *(self._format.texts if self._format else ()))

    def state_after(self, prompt: str) -> State:
        return state_after(prompt, self._markers)

    def constraint(self, request: ChatRequest, state: State) -> ConstraintSpec | None:
        choice = request.tool_choice
        if request.calls_tools and self._format:
            must, several = choice.mode == "required" or request.answers_document_or_calls, request.parallel_tool_calls
            if not request.answers_document_or_calls:
                return self._grammars.calls(self._format, request.callable_tools, state, must=must, several=several)
            if self._format.marker is None:
                raise UnsupportedParameter(
                    f"response_format is {request.response_format.type}, but this model's calls can't be distinguished "
                    'from JSON. Leave tools or response_format out, or send tool_choice "required" or "none".',
                    param="response_format",
                )
            # As without tools, the model doesn't reason first unless the prompt has opened the reasoning.
            begun = State.TEXT if state is State.EITHER else state
            calls = self._grammars.calls(self._format, request.callable_tools, begun, must=must, several=several)
            return DocumentOrCallsSpec(self._grammars.document(request.response_format, begun), calls)
        if request.answers_json:
            return self._grammars.document(request.response_format, state)
        return None

    def reader(self, request: ChatRequest, state: State) -> AnswerReader | None:
        calls = self._format if request.calls_tools else None
        if state is State.TEXT and calls is None:
            return None
        tools = {tool.name: tool for tool in request.tools}
        return PlainReader(self._markers, state, calls, tools, begins_with_calls=request.answers_document_or_calls)


class ChannelDialect:
    """Parts with headers. `formats` are those of tool calls; empty if the model does not support tools."""

    def __init__(
        self,
        control: Mapping[str, int],
        tokenize: Callable[[str], list[int]],
        channels: Channels,
        formats: tuple[ToolFormat, ...],
    ) -> None:
        self._channels = channels
        self._formats = formats
        leave = tokenize(channels.reasoning.close if channels.reasoning else "")
        self._grammars = ChannelGrammars(control, channels, formats, leave)

    @property
    def texts(self) -> Collection[str]:
        return (*self._channels.texts, CONSTRAIN, *(text for each in self._formats for text in each.texts))

    def state_after(self, prompt: str) -> State:
        return self._channels.state_after(prompt)

    def constraint(self, request: ChatRequest, state: State) -> ConstraintSpec | None:
        choice = request.tool_choice
        if request.calls_tools and self._formats:
            must, several = choice.mode == "required" or request.answers_document_or_calls, request.parallel_tool_calls
            calls = self._grammars.calls(request.callable_tools, state, must=must, several=several)
            if not request.answers_document_or_calls:
                return calls
            return DocumentOrCallsSpec(self._grammars.document(request.response_format, state), calls)
        if request.answers_json:
            return self._grammars.document(request.response_format, state)
        return None

    def reader(self, request: ChatRequest, state: State) -> AnswerReader | None:
        formats = self._formats if request.calls_tools else ()
        return ChannelReader(self._channels, state, formats, {tool.name: tool for tool in request.tools})
