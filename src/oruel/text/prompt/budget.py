"""Limits the cost of rendering a chat template. A model file's template is someone else's program, and Python can't
stop a thread, so everything that takes long or grows is counted while it runs.
"""

import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import SecurityError

# Reading the thread's clock costs as much as ten steps.
STEPS_PER_CLOCK_READING = 64

# The cost of a list item in addition to its text.
ITEM = 8

# Pieces of output that are joined at a time.
ITERATED = 1024


class OverBudget(SecurityError):
    """Rendering was aborted; the message says which limit it exceeded."""


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """`steps`: nodes evaluated in loops, calls, and items that filters process. `characters`: of all texts built during
    rendering, plus `characters_each` for each character of the messages. `seconds`: CPU time of the thread.
    """

    steps: int
    characters: int
    seconds: float
    characters_each: int = 32


WHOLE = RenderLimits(steps=2**25, characters=2**22, seconds=2.0)
"""For rendering in a thread. For 4096 messages with 8 MB in total, ChatML takes 0.02 s, and a template that splits and
joins each message 0.4 s.
"""

PROBED = RenderLimits(steps=2**20, characters=2**20, seconds=0.5)
"""For rendering a few words when the model is loaded."""

SHORT = RenderLimits(steps=2**18, characters=2**18, seconds=0.01)
"""For rendering on the event loop, which blocks all other requests."""


class RenderBudget:
    """What is left of the limits. The methods raise OverBudget."""

    __slots__ = ("_allowed", "_characters", "_deadline", "_limits", "_steps", "_steps_to_clock")

    def __init__(self, limits: RenderLimits, given_characters: int = 0) -> None:
        self._limits = limits
        self._steps = limits.steps
        self._characters = self._allowed = limits.characters + given_characters * limits.characters_each
        self._steps_to_clock = STEPS_PER_CLOCK_READING
        self._deadline = time.thread_time() + limits.seconds

    def step(self, count: int = 1) -> None:
        self._steps -= count
        if self._steps < 0:
            raise OverBudget(f"it takes more than {self._limits.steps} steps")
        self._steps_to_clock -= 1
        if self._steps_to_clock == 0:
            self._steps_to_clock = STEPS_PER_CLOCK_READING
            if time.thread_time() > self._deadline:
                raise OverBudget(f"it takes more than {self._limits.seconds:g} seconds of CPU time")

    def build(self, characters: int) -> None:
        """Charges for a text that was built, or is about to be."""
        self._characters -= characters
        if self._characters < 0:
            raise self._over_characters()

    def check(self, characters: int) -> None:
        """Raises if a text of this length would exceed the budget."""
        if characters > self._characters:
            raise self._over_characters()

    def weigh(self, value: Any) -> int:
        """The approximate characters of a value as text. Lists may contain the same value many times."""
        if type(value) is str:
            return len(value)
        if value is None or type(value) is bool or type(value) is int:
            return ITEM
        weight, waiting = 0, [value]
        while waiting:
            item = waiting.pop()
            kind = type(item)
            if kind is str:
                weight += len(item)
                continue
            if kind is dict:
                weight += ITEM * len(item)
                waiting += item
                waiting += item.values()
            elif kind is list or kind is tuple:
                weight += ITEM * len(item)
                waiting += item
            else:
                weight += len(item) if isinstance(item, str) else ITEM
            if weight > self._characters:
                raise self._over_characters()
        self.step(weight // ITEM)
        return weight

    def items(self, iterable: Iterable[Any], cost: int = 1) -> Iterable[Any]:
        """The same items, each charged `cost` steps."""
        if isinstance(iterable, Sized):
            self.step(1 + len(iterable) * cost)
            return iterable
        return self._counted(iterable, cost)

    def _counted(self, iterable: Iterable[Any], cost: int) -> Iterator[Any]:
        for item in iterable:
            self.step(cost)
            yield item

    def _over_characters(self) -> OverBudget:
        return OverBudget(f"it builds more than {self._allowed} characters of text")


# Compiling a template evaluates its constants.
_spent: ContextVar[RenderBudget] = ContextVar("_spent")


budget = _spent.get
"""The budget of the current rendering."""


@contextmanager
def spending(limits: RenderLimits, given_characters: int = 0) -> Iterator[None]:
    token = _spent.set(RenderBudget(limits, given_characters))
    try:
        yield
    finally:
        _spent.reset(token)
