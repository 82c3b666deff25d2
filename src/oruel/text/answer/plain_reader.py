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
        starts = {State.TEXT: self._begin, State.REASONING: self._reasoning, State.EITHER: self._either}
        super().__init__(starts[state])
        self._markers = markers
        self._format = tool_format
        self._calls = CallReader(tool_format, tools or {}) if tool_format else None
        self._is_first = begins_with_calls or (tool_format is not None and tool_format.marker is None)

    @property
    def called(self) -> bool:
        """Whether there were calls, all of them complete."""
        return self._calls is not None and self._calls.is_whole

    def _either(self, final: bool) -> bool:
        """At the beginning: the marker that opens reasoning, or text."""
        assert self._markers is not None
        begun = self._held.lstrip(WHITESPACE)
        if begun.startswith(self._markers.open):
            self._take(len(self._held) - len(begun) + len(self._markers.open))
            self._state = self._reasoning
            return True
        if self._markers.open.startswith(begun) and not final:
            return False
        self._state = self._begin
        if final and self._is_cut and begun and self._markers.open.startswith(begun):
            self._take(len(self._held))
        return True

    def _reasoning(self, final: bool) -> bool:
        assert self._markers is not None
        close = self._markers.close
        place = self._held.find(close)
        if place < 0:
            self._take(self._settled(close, final), reasoning=True)
            return self._drop_rest(final)
        self._take(len(self._held[:place].rstrip(WHITESPACE)), reasoning=True)
        self._take(self._held.find(close) + len(close))
        self._state = self._blank
        return True

    def _blank(self, final: bool) -> bool:
        """White space between reasoning and what follows."""
        self._take(len(self._held) - len(self._held.lstrip(WHITESPACE)))
        if self._held:
            self._state = self._begin
        return bool(self._held)

    def _begin(self, final: bool) -> bool:
        """Before the content. If calls have no marker, or if a document is possible, a call can only begin here."""
        if self._format is None or not self._is_first:
            self._state = self._content
            return True
        begun, begin = self._held.lstrip(WHITESPACE), self._format.begin
        if begin.startswith(begun) and len(begun) < len(begin) and not final:
            return False
        if final and self._is_cut and begun and len(begun) < len(begin) and begin.startswith(begun):
            return self._drop_rest(final)
        self._state = self._call_begin if begun.startswith(begin) else self._rest
        return True

    def _content(self, final: bool) -> bool:
        if self._format is None:
            return self._rest(final)
        place = self._held.find(self._format.trigger)
        if place >= 0:
            self._take(len(self._held[:place].rstrip(WHITESPACE)), content=True)
            self._state = self._call_begin
            return True
        self._take(self._settled(self._format.trigger, final), content=True)
        return self._drop_rest(final)

    def _settled(self, marker: str, final: bool) -> int:
        """How many characters are released before `marker` has arrived."""
        begun = overlap(self._held, marker)
        return settled_before(self._held, marker) if not final or (self._is_cut and begun) else len(self._held)

    def _drop_rest(self, final: bool) -> bool:
        if final:
            self._take(len(self._held))
        return False

    def _rest(self, final: bool) -> bool:
        self._take(len(self._held), content=True)
        return False

    def _call_begin(self, final: bool) -> bool:
        assert self._format is not None
        begun, begin = self._held.lstrip(WHITESPACE), self._format.begin
        if len(begun) < len(begin) and begin.startswith(begun):
            return False
        # What only looks like a call is text.
        looks = begun.startswith(begin)
        self._take(len(self._held) - len(begun) + (len(begin) if looks else 0), content=not looks)
        self._state = self._call if looks else self._rest
        return True

    def _call(self, final: bool) -> bool:
        return self._take_calls(self._after_calls)

    def _after_calls(self, final: bool) -> bool:
        self._take(len(self._held) - len(self._held.lstrip(WHITESPACE)))
        if self._held:
            self._state = self._rest
        return bool(self._held)


def settled_before(text: str, marker: str) -> int:
    """How many characters can't be part of `marker`, or of white space before it."""
    return len(text[: len(text) - overlap(text, marker)].rstrip(WHITESPACE))
