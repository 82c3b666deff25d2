"""Separates an answer into reasoning, content and calls as it arrives. Markers are never passed on."""

from collections.abc import Mapping

from oruel.text.answer.call_reader import CallReader
from oruel.text.answer.reader import BufferedReader
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.reasoning import Markers, State
from oruel.text.matching import overlap
from oruel.types import Tool

WHITESPACE = " \t\r\n"


class PlainReader(BufferedReader):
    """For an answer that begins in `state`. Holds back only what could become a marker, white space before it, and
    incomplete parts of calls. If the answer `begins_with_calls`, calls come first or not at all.
    """

    def __init__(
        self,
        markers: Markers | None,
        state: State,
        tool_format: ToolFormat | None = None,
        tools: Mapping[str, Tool] | None = None,
        *,
        begins_with_calls: bool = False,
    ) -> None:
        starts = {
            State.TEXT: self._before_content,
            State.REASONING: self._in_reasoning,
            State.EITHER: self._before_reasoning,
        }
        super().__init__(starts[state])
        self._markers = markers
        self._format = tool_format
        self._calls = CallReader(tool_format, tools or {}) if tool_format else None
        self._calls_come_first = begins_with_calls or (tool_format is not None and tool_format.marker is None)

    @property
    def has_complete_calls(self) -> bool:
        """Whether there were calls, all of them complete."""
        return self._calls is not None and self._calls.is_complete

    def _before_reasoning(self, final: bool) -> bool:
        """At the beginning: the marker that opens reasoning, or text."""
        assert self._markers is not None
        text = self._held.lstrip(WHITESPACE)
        if text.startswith(self._markers.open):
            self._take(len(self._held) - len(text) + len(self._markers.open))
            self._state = self._in_reasoning
            return True
        if self._markers.open.startswith(text) and not final:
            return False
        self._state = self._before_content
        if final and self._is_cut and text and self._markers.open.startswith(text):
            self._take(len(self._held))
        return True

    def _in_reasoning(self, final: bool) -> bool:
        assert self._markers is not None
        close = self._markers.close
        place = self._held.find(close)
        if place < 0:
            self._take(self._released_length(close, final), reasoning=True)
            return self._drop_rest(final)
        self._take(len(self._held[:place].rstrip(WHITESPACE)), reasoning=True)
        self._take(self._held.find(close) + len(close))
        self._state = self._after_reasoning
        return True

    def _after_reasoning(self, final: bool) -> bool:
        """White space between reasoning and what follows."""
        self._take(len(self._held) - len(self._held.lstrip(WHITESPACE)))
        if self._held:
            self._state = self._before_content
        return bool(self._held)

    def _before_content(self, final: bool) -> bool:
        """Before the content. If calls have no marker, or if a document is possible, a call can only begin here."""
        if self._format is None or not self._calls_come_first:
            self._state = self._in_content
            return True
        text, begin = self._held.lstrip(WHITESPACE), self._format.begin
        if begin.startswith(text) and len(text) < len(begin) and not final:
            return False
        if final and self._is_cut and text and len(text) < len(begin) and begin.startswith(text):
            return self._drop_rest(final)
        self._state = self._before_call if text.startswith(begin) else self._in_final_content
        return True

    def _in_content(self, final: bool) -> bool:
        if self._format is None:
            return self._in_final_content(final)
        place = self._held.find(self._format.trigger)
        if place >= 0:
            self._take(len(self._held[:place].rstrip(WHITESPACE)), content=True)
            self._state = self._before_call
            return True
        self._take(self._released_length(self._format.trigger, final), content=True)
        return self._drop_rest(final)

    def _released_length(self, marker: str, final: bool) -> int:
        """How many characters can't be part of `marker`, or of white space before it. Once the answer has ended by
        itself, that is all of them.
        """
        possible = overlap(self._held, marker)
        if final and not (self._is_cut and possible):
            return len(self._held)
        return len(self._held[: len(self._held) - possible].rstrip(WHITESPACE))

    def _drop_rest(self, final: bool) -> bool:
        if final:
            self._take(len(self._held))
        return False

    def _in_final_content(self, final: bool) -> bool:
        self._take(len(self._held), content=True)
        return False

    def _before_call(self, final: bool) -> bool:
        assert self._format is not None
        text, begin = self._held.lstrip(WHITESPACE), self._format.begin
        if len(text) < len(begin) and begin.startswith(text):
            return False
        # Text that only begins like a call is content.
        is_call = text.startswith(begin)
        self._take(len(self._held) - len(text) + (len(begin) if is_call else 0), content=not is_call)
        self._state = self._in_calls if is_call else self._in_final_content
        return True

    def _in_calls(self, final: bool) -> bool:
        return self._take_calls(self._after_calls)

    def _after_calls(self, final: bool) -> bool:
        self._take(len(self._held) - len(self._held.lstrip(WHITESPACE)))
        if self._held:
            self._state = self._in_final_content
        return bool(self._held)
