"""What the readers of answers share: a buffer of unread text, and the segments that come out of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from oruel.text.answer.call_reader import CallReader
from oruel.types import ToolCallDelta


@dataclass(frozen=True, slots=True)
class Segment:
    """One of `content`, `reasoning` and `calls` is set, or none for dropped text. `end` is the index after it in the
    text of the answer.
    """

    end: int
    content: str = ""
    reasoning: str = ""
    calls: tuple[ToolCallDelta, ...] = ()


class AnswerReader(Protocol):
    """Splits an answer into its segments as it arrives."""

    @property
    def has_complete_calls(self) -> bool:
        """Whether the answer ends with calls, all of them complete."""
        ...

    def feed(self, text: str) -> list[Segment]: ...

    def finish(self, *, is_cut: bool = False) -> list[Segment]: ...


class BufferedReader:
    """A state machine over the text of an answer. Each state is a method that takes `final`, True once the answer has
    ended, and returns whether to continue; False if it needs more text. States are called only while `_held`, the
    unread text, isn't empty.
    """

    def __init__(self, state: Callable[[bool], bool]) -> None:
        self._state = state
        self._held = ""
        self._end = 0
        self._is_cut = False
        self._calls: CallReader | None = None
        self._segments: list[Segment] = []

    def feed(self, text: str) -> list[Segment]:
        self._held += text
        return self._run(final=False)

    def finish(self, *, is_cut: bool = False) -> list[Segment]:
        """The rest of the answer. Drops the incomplete part of a header or call and, if the answer `is_cut`, what may
        be the beginning of a marker; before the model's own end, that is text.
        """
        self._is_cut = is_cut
        return self._run(final=True)

    def _run(self, *, final: bool) -> list[Segment]:
        self._segments = []
        while self._held and self._state(final):
            pass
        return self._segments

    def _take(self, length: int, *, content: bool = False, reasoning: bool = False) -> None:
        """Removes text from the buffer; passes it on as content or reasoning, or else drops it."""
        text, self._held = self._held[:length], self._held[length:]
        self._end += length
        if length:
            self._segments.append(Segment(self._end, text if content else "", text if reasoning else ""))

    def _take_calls(self, next_state: Callable[[bool], bool]) -> bool:
        """Reads the next fragment of the calls; changes to `next_state` at their end."""
        assert self._calls is not None
        found = self._calls.take(self._held)
        if found is None:
            return False
        length, calls = found
        self._held = self._held[length:]
        self._end += length
        self._segments.append(Segment(self._end, calls=tuple(calls)))
        if self._calls.has_ended:
            self._state = next_state
        return True
