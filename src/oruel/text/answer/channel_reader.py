"""Parses an answer in channels as it arrives: reasoning, content, calls. Headers and markers are never passed on."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from oruel.text.answer.call_reader import CallReader
from oruel.text.answer.reader import BufferedReader, Segment
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.channels import Channels, find_marks
from oruel.text.formats.reasoning import State
from oruel.text.matching import overlap
from oruel.text.placeholders import PLACEHOLDERS, regex_for
from oruel.types import Tool

# A longer text is no header.
MAX_HEADER = 200


@dataclass(frozen=True, slots=True)
class _Header:
    """A text that begins a part, and the method that reads the part."""

    start: str
    pattern: re.Pattern[str]
    enter: Callable[[], None]

    def may_become(self, text: str) -> bool:
        if text.startswith(self.start):
            return len(text) < MAX_HEADER
        return self.start.startswith(text)


class ChannelReader(BufferedReader):
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
        super().__init__(self._before_part if state is State.EITHER else self._in_part)
        self._channels = channels
        self._tools = tools or {}
        self._headers = [*self._part_headers(), *map(self._call_header, formats)]
        # The close of the last part may be the beginning of the text that ends the answer.
        aside = channels.aside.close if channels.aside else ""
        self._between = [text for text in (channels.separator, channels.final.close.removeprefix(aside)) if text]
        self._ends = {part.close for part in channels.parts if part.close} | set(filter(None, [channels.separator]))
        texts = (*channels.texts, *(text for each in formats for text in each.texts))
        self._marks = sorted(self._ends.union(find_marks(texts)), key=len, reverse=True)
        self._is_reasoning = state is State.REASONING
        self._continues_after_calls = False

    @property
    def has_complete_calls(self) -> bool:
        """Whether there were calls, all of them complete, with no further part."""
        return self._calls is not None and self._calls.is_complete and not self._continues_after_calls

    def finish(self, *, is_cut: bool = False) -> list[Segment]:
        self._continues_after_calls = is_cut and self._state != self._in_calls and bool(self._held.strip())
        return super().finish(is_cut=is_cut)

    def _part_headers(self) -> list[_Header]:
        kinds = [(self._channels.reasoning, True), (self._channels.aside, False), (self._channels.final, False)]
        return [build_header(part.open, self._enter_text(reasons)) for part, reasons in kinds if part]

    def _enter_text(self, is_reasoning: bool) -> Callable[[], None]:
        def enter() -> None:
            self._is_reasoning = is_reasoning
            self._state = self._in_part

        return enter

    def _call_header(self, tool_format: ToolFormat) -> _Header:
        def enter() -> None:
            self._calls = CallReader(tool_format, self._tools)
            self._state = self._in_calls

        return build_header(tool_format.begin, enter)

    def _before_part(self, final: bool) -> bool:
        """Before a part."""
        for each in self._headers:
            if found := each.pattern.match(self._held):
                self._take(found.end())
                each.enter()
                return True
            if each.may_become(self._held):
                if final:
                    self._take(len(self._held))
                return False
        if not self._drop_mark():
            self._enter_text(False)()
        return True

    def _drop_mark(self) -> bool:
        mark = next((mark for mark in self._marks if self._held.startswith(mark)), "")
        if mark:
            self._take(len(mark))
        return bool(mark)

    def _in_part(self, final: bool) -> bool:
        """Inside a part, up to the first marker."""
        places = [place for mark in self._marks if (place := self._held.find(mark)) >= 0]
        if not places:
            released = len(self._held) - (overlap(self._held, *self._marks) if self._is_cut or not final else 0)
            self._pass_on(released)
            if final:
                self._take(len(self._held))
            return False
        self._pass_on(min(places))
        if not final and any(len(end) > len(self._held) and end.startswith(self._held) for end in self._ends):
            return False
        if any(self._held.startswith(end) for end in self._ends):
            self._state = self._after_part
        elif any(each.may_become(self._held) or each.pattern.match(self._held) for each in self._headers if each.start):
            self._state = self._before_part
            return True
        return self._drop_mark()

    def _pass_on(self, length: int) -> None:
        self._take(length, content=not self._is_reasoning, reasoning=self._is_reasoning)

    def _after_part(self, final: bool) -> bool:
        """After a part."""
        for text in self._between:
            if self._held.startswith(text):
                self._take(len(text))
                return True
        if any(text.startswith(self._held) for text in self._between):
            if final:
                self._take(len(self._held))
            return False
        self._state = self._before_part
        return True

    def _in_calls(self, final: bool) -> bool:
        return self._take_calls(self._after_part)


def build_header(text: str, enter: Callable[[], None]) -> _Header:
    return _Header(PLACEHOLDERS.split(text)[0], re.compile(regex_for(text)), enter)
