"""Separates an answer into reasoning, content and calls as it arrives. Markers are never passed on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oruel.text.answer.call_reader import CallReader
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.reasoning import Markers, State
from oruel.types import Tool, ToolCallDelta

WHITESPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Segment:
    """One of `content`, `reasoning` and `calls` is set, or none for dropped text. `end` is the index after it in the
    text of the answer.
    """

    end: int
    content: str = ""
    reasoning: str = ""
    calls: tuple[ToolCallDelta, ...] = ()


class PlainReader:
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
        self._markers = markers
        self._format = tool_format
        self._calls = CallReader(tool_format, tools or {}) if tool_format else None
        starts = {State.TEXT: self._begin, State.REASONING: self._reasoning, State.EITHER: self._either}
        self._state: Callable[[bool], bool] = starts[state]
        self._is_first = begins_with_calls or (tool_format is not None and tool_format.marker is None)
        self._held = ""
        self._end = 0
        self._is_cut = False
        self._read: list[Segment] = []

    @property
    def called(self) -> bool:
        """Whether there were calls, all of them complete."""
        return self._calls is not None and self._calls.is_whole

    def feed(self, text: str) -> list[Segment]:
        self._held += text
        return self._run(final=False)

    def finish(self, *, is_cut: bool = False) -> list[Segment]:
        """The rest of the answer. Drops the incomplete part of a call and, if the answer `is_cut`, what may be the
        beginning of a marker; before the model's own end, that is text.
        """
        self._is_cut = is_cut
        return self._run(final=True)

    def _run(self, *, final: bool) -> list[Segment]:
        self._read = []
        while self._held and self._state(final):
            pass
        return self._read

    def _pass_on(self, length: int, *, content: bool = False, reasoning: bool = False) -> None:
        text, self._held = self._held[:length], self._held[length:]
        self._end += length
        if length:
            self._read.append(Segment(self._end, text if content else "", text if reasoning else ""))

    def _either(self, final: bool) -> bool:
        """At the beginning: the marker that opens reasoning, or text."""
        assert self._markers is not None
        begun = self._held.lstrip(WHITESPACE)
        if begun.startswith(self._markers.open):
            self._pass_on(len(self._held) - len(begun) + len(self._markers.open))
            self._state = self._reasoning
            return True
        if self._markers.open.startswith(begun) and not final:
            return False
        self._state = self._begin
        if final and self._is_cut and begun and self._markers.open.startswith(begun):
            self._pass_on(len(self._held))
        return True

    def _reasoning(self, final: bool) -> bool:
        assert self._markers is not None
        close = self._markers.close
        place = self._held.find(close)
        if place < 0:
            self._pass_on(self._settled(close, final), reasoning=True)
            return self._drop_rest(final)
        self._pass_on(len(self._held[:place].rstrip(WHITESPACE)), reasoning=True)
        self._pass_on(self._held.find(close) + len(close))
        self._state = self._blank
        return True

    def _blank(self, final: bool) -> bool:
        """White space between reasoning and what follows."""
        self._pass_on(len(self._held) - len(self._held.lstrip(WHITESPACE)))
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
            self._pass_on(len(self._held[:place].rstrip(WHITESPACE)), content=True)
            self._state = self._call_begin
            return True
        self._pass_on(self._settled(self._format.trigger, final), content=True)
        return self._drop_rest(final)

    def _settled(self, marker: str, final: bool) -> int:
        """How many characters are released before `marker` has arrived."""
        begun = overlap(self._held, marker)
        return settled_before(self._held, marker) if not final or (self._is_cut and begun) else len(self._held)

    def _drop_rest(self, final: bool) -> bool:
        if final:
            self._pass_on(len(self._held))
        return False

    def _rest(self, final: bool) -> bool:
        self._pass_on(len(self._held), content=True)
        return False

    def _call_begin(self, final: bool) -> bool:
        assert self._format is not None
        begun, begin = self._held.lstrip(WHITESPACE), self._format.begin
        if len(begun) < len(begin) and begin.startswith(begun):
            return False
        # What only looks like a call is text.
        looks = begun.startswith(begin)
        self._pass_on(len(self._held) - len(begun) + (len(begin) if looks else 0), content=not looks)
        self._state = self._call if looks else self._rest
        return True

    def _call(self, final: bool) -> bool:
        assert self._calls is not None
        found = self._calls.take(self._held)
        if found is None:
            return False
        length, calls = found
        self._held = self._held[length:]
        self._end += length
        self._read.append(Segment(self._end, calls=tuple(calls)))
        if self._calls.has_ended:
            self._state = self._after_calls
        return True

    def _after_calls(self, final: bool) -> bool:
        self._pass_on(len(self._held) - len(self._held.lstrip(WHITESPACE)))
        if self._held:
            self._state = self._rest
        return bool(self._held)


def settled_before(text: str, marker: str) -> int:
    """How many characters can't be part of `marker`, or of white space before it."""
    return len(text[: len(text) - overlap(text, marker)].rstrip(WHITESPACE))


def overlap(text: str, marker: str) -> int:
    """How many of the last characters may be the beginning of `marker`."""
    length = min(len(text), len(marker) - 1)
    while not text.endswith(marker[:length]):
        length -= 1
    return length
