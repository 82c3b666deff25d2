"""Assembles tool calls from the fragments that an upstream server streams."""

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
    """Assembles the calls of one choice. `names` are the declared functions.

    A new index or a new id begins a call; without them, so does a name after a complete name. Other fragments continue
    the latest call. Some servers split names, so a call is held back until its name is complete: when its arguments
    begin, when the next call begins, or at the end.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._count = 0
        self._current: AssembledCall | None = None

    def feed(self, fragments: Iterable[CallFragment]) -> Iterator[ToolCallDelta]:
        """Raises UpstreamFailed for too many calls, or a call to an undeclared function."""
        for fragment in fragments:
            if self._begins_call(fragment):
                yield from self.finish()
                self._begin(fragment)
            yield from self._extend(fragment.function or CallFunction())

    def finish(self) -> Iterator[ToolCallDelta]:
        """Yields the latest call if it is still held back."""
        if self._current and not self._current.is_announced:
            yield self._announce(self._current)

    @property
    def has_calls(self) -> bool:
        return self._count > 0

    def _begins_call(self, fragment: CallFragment) -> bool:
        current = self._current
        if current is None:
            return True
        if fragment.index is not None and fragment.index != current.index:
            return True
        if fragment.id:
            return fragment.id != current.id
        # Some servers send complete calls without ids and indexes.
        return fragment.index is None and current.is_announced and bool(fragment.function and fragment.function.name)

    def _begin(self, fragment: CallFragment) -> None:
        if self._count == MAX_CALLS:
            raise UpstreamFailed(f"The server behind this model sent more than {MAX_CALLS} calls.")
        self._current = AssembledCall(self._count, fragment.index, fragment.id or "")
        self._count += 1

    def _extend(self, function: CallFunction) -> Iterator[ToolCallDelta]:
        call = self._current
        assert call is not None, "a fragment belongs to a call"
        # Some servers repeat the whole name with every fragment.
        if function.name and not call.is_announced and function.name != call.name:
            call.name = (call.name + function.name)[: MAX_NAME + 1]
        if function.arguments:
            if not call.is_announced:
                yield self._announce(call)
            yield ToolCallDelta(call.place, arguments=arguments_text(function.arguments))

    def _announce(self, call: "AssembledCall") -> ToolCallDelta:
        """The first delta of a call, with its id and name."""
        if call.name not in self._names:
            raise UpstreamFailed("The server behind this model called a function that tools doesn't declare.")
        call.is_announced = True
        return ToolCallDelta(call.place, call.id or new_call_id(short=False), call.name)


class AssembledCall:
    """`place` is the call's index in Oru'el's answer, `index` its index in that of the server, if it has one."""

    def __init__(self, place: int, index: int | None, id_: str) -> None:
        self.place = place
        self.index = index
        self.id = id_
        self.name = ""
        self.is_announced = False


def arguments_text(arguments: Any) -> str:
    """The arguments as JSON text. Some servers send an object instead of text."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
