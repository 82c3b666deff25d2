"""Parses an answer in channels as it arrives: reasoning, content, calls. Headers and markers are never passed on."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from oruel.text.answer.call_reader import CallReader
from oruel.text.answer.plain_reader import Segment
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.channels import Channels, marks
from oruel.text.formats.reasoning import State
from oruel.text.placeholders import PLACEHOLDERS, pattern
from oruel.types import Tool

# A longer text is no header.
MAX_HEADER = 200


@dataclass(frozen=True, slots=True)
class _Header:
    """A text that begins a part, and the method that reads the part."""

    start: str
    whole: re.Pattern[str]
    enters: Callable[[], None]

    def may_become(self, text: str) -> bool:
        if text.startswith(self.start):
            return len(text) < MAX_HEADER
        return self.start.startswith(text)


class ChannelReader:
    """For an answer that begins in `state`. Holds back only what could become a header or a marker, and incomplete
    parts of calls. Text without a header is content; markers without a meaning are dropped.
    """

    def __init__(
        self,
        channels: Channels,
        state: State,
        formats: Sequence[ToolFormat] = (),
        tools: Mapping[str, Tool] | None = None,
    ) -> None:
        self._channels = channels
        self._tools = tools or {}
        self._calls: CallReader | None = None
        self._headers = [*self._part_headers(), *map(self._call_header, formats)]
        # The close of the last part may be the beginning of the text that ends the answer.
        aside = channels.aside.close if channels.aside else ""
        self._between = [text for text in (channels.again, channels.final.close.removeprefix(aside)) if text]
        self._ends = {part.close for part in channels.parts if part.close} | set(filter(None, [channels.again]))
        texts = (*channels.texts, *(text for each in formats for text in each.texts))
        self._marks = sorted(self._ends.union(marks(texts)), key=len, reverse=True)
        self._is_reasoning = state is State.REASONING
        self._state: Callable[[bool], bool] = self._header if state is State.EITHER else self._text
        self._held = ""
        self._end = 0
        self._is_cut = False
        self._goes_on = False
        self._read: list[Segment] = []

    @property
    def called(self) -> bool:
        """Whether there were calls, all of them complete, with no further part."""
        return self._calls is not None and self._calls.is_whole and not self._goes_on

    def feed(self, text: str) -> list[Segment]:
        self._held += text
        return self._run(final=False)

    def finish(self, *, is_cut: bool = False) -> list[Segment]:
        """The rest of the answer. Drops the incomplete part of a header or call and, if the answer `is_cut`, what may
        be the beginning of a marker.
        """
        self._is_cut = is_cut
        self._goes_on = is_cut and self._state != self._call and bool(self._held.strip())
        return self._run(final=True)

    def _run(self, *, final: bool) -> list[Segment]:
        self._read = []
        while self._held and self._state(final):
            pass
        return self._read

    def _part_headers(self) -> list[_Header]:
        kinds = [(self._channels.reasoning, True), (self._channels.aside, False), (self._channels.final, False)]
        return [header(part.open, self._enter_text(reasons)) for part, reasons in kinds if part]

    def _enter_text(self, is_reasoning: bool) -> Callable[[], None]:
        def enter() -> None:
            self._is_reasoning = is_reasoning
            self._state = self._text

        return enter

    def _call_header(self, tool_format: ToolFormat) -> _Header:
        def enter() -> None:
            self._calls = CallReader(tool_format, self._tools)
            self._state = self._call

        return header(tool_format.begin, enter)

    def _drop(self, length: int) -> None:
        self._held = self._held[length:]
        self._end += length
        self._read.append(Segment(self._end))

    def _header(self, final: bool) -> bool:
        """Before a part."""
        for each in self._headers:
            if found := each.whole.match(self._held):
                self._drop(found.end())
                each.enters()
                return True
            if each.may_become(self._held):
                if final:
                    self._drop(len(self._held))
                return False
        if not self._drop_mark():
            self._enter_text(False)()
        return True

    def _drop_mark(self) -> bool:
        mark = next((mark for mark in self._marks if self._held.startswith(mark)), "")
        if mark:
            self._drop(len(mark))
        return bool(mark)

    def _text(self, final: bool) -> bool:
        """Inside a part, up to the first marker."""
        places = [place for mark in self._marks if (place := self._held.find(mark)) >= 0]
        if not places:
            self._pass_on(len(self._held) if final and not self._is_cut else settled_length(self._held, self._marks))
            if final:
                self._drop(len(self._held))
            return False
        self._pass_on(min(places))
        if not final and any(len(end) > len(self._held) and end.startswith(self._held) for end in self._ends):
            return False
        if any(self._held.startswith(end) for end in self._ends):
            self._state = self._gap
        elif any(each.may_become(self._held) or each.whole.match(self._held) for each in self._headers if each.start):
            self._state = self._header
            return True
        return self._drop_mark()

    def _pass_on(self, length: int) -> None:
        text, self._held = self._held[:length], self._held[length:]
        self._end += length
        if text:
            self._read.append(Segment(self._end, reasoning=text) if self._is_reasoning else Segment(self._end, text))

    def _gap(self, final: bool) -> bool:
        """After a part."""
        for text in self._between:
            if self._held.startswith(text):
                self._drop(len(text))
                return True
        if any(text.startswith(self._held) for text in self._between):
            if final:
                self._drop(len(self._held))
            return False
        self._state = self._header
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
            self._state = self._gap
        return True


def header(text: str, enters: Callable[[], None]) -> _Header:
    return _Header(PLACEHOLDERS.split(text)[0], re.compile(pattern(text)), enters)


def settled_length(text: str, markers: Sequence[str]) -> int:
    """How many characters can't be part of a marker."""
    longest = max(map(len, markers), default=1)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(marker.startswith(text[-length:]) for marker in markers):
            return len(text) - length
    return len(text)
