"""Assembles the call fragments that another server streams: one index per call, its id and name first."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from oruel.errors import UpstreamFailed
from oruel.text.answer.call_reader import new_call_id
from oruel.types import ToolCallDelta

MAX_CALLS = 128
MAX_NAME = 256


class CallFunction(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class CallFragment(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: CallFunction | None = None


class CallAssembler:
    """The calls of one choice to the declared functions `names`.

    A fragment belongs to the call that its index began, and without an index to the latest one; another id begins
    another call. Servers split names, too, so a call is held until its first argument, the next call or the end shows
    its complete name.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._begun = 0
        self._current: AssembledCall | None = None

    def feed(self, fragments: Iterable[CallFragment]) -> Iterator[ToolCallDelta]:
        """Raises UpstreamFailed for fragments that form no call."""
        for fragment in fragments:
            if self._begins_another(fragment):
                yield from self.finish()
                self._begin(fragment)
            yield from self._take(fragment.function or CallFunction())

    def finish(self) -> Iterator[ToolCallDelta]:
        """The held part of the latest call."""
        if self._current and not self._current.is_shown:
            yield self._shown(self._current)

    @property
    def has_calls(self) -> bool:
        return self._begun > 0

    def _begins_another(self, fragment: CallFragment) -> bool:
        current = self._current
        if current is None:
            return True
        if fragment.index is not None and fragment.index != current.index:
            return True
        if fragment.id:
            return fragment.id != current.id
        # Complete calls, one after the other, without ids or indexes.
        return fragment.index is None and current.is_shown and bool(fragment.function and fragment.function.name)

    def _begin(self, fragment: CallFragment) -> None:
        if self._begun == MAX_CALLS:
            raise UpstreamFailed(f"The server behind this model sent more than {MAX_CALLS} calls.")
        self._current = AssembledCall(self._begun, fragment.index, fragment.id or "")
        self._begun += 1

    def _take(self, function: CallFunction) -> Iterator[ToolCallDelta]:
        call = self._current
        assert call is not None, "a fragment belongs to a call"
        # Some servers repeat the whole name with every fragment.
        if function.name and not call.is_shown and function.name != call.name:
            call.name = (call.name + function.name)[: MAX_NAME + 1]
        if function.arguments:
            if not call.is_shown:
                yield self._shown(call)
            yield ToolCallDelta(call.place, arguments=arguments_text(function.arguments))

    def _shown(self, call: "AssembledCall") -> ToolCallDelta:
        if call.name not in self._names:
            raise UpstreamFailed("The server behind this model called a function that tools doesn't declare.")
        call.is_shown = True
        return ToolCallDelta(call.place, call.id or new_call_id(short=False), call.name)


class AssembledCall:
    """`place` is its index in our answer, `index` the one that the server gave it."""

    def __init__(self, place: int, index: int | None, id_: str) -> None:
        self.place = place
        self.index = index
        self.id = id_
        self.name = ""
        self.is_shown = False


def arguments_text(arguments: Any) -> str:
    """Some servers send an object instead of its text."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
