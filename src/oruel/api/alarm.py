"""Ends waits of a task at a given time, as asyncio.timeout does, but with one timer for all waits of a request."""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Rang(Exception):
    """The time has come while the task waited."""


class Alarm:
    """`due` is a time of the event loop, and may be set at any time; infinite for never. One task uses it."""

    def __init__(self) -> None:
        self.due = math.inf
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._rings = False

    async def limit(self, awaited: Awaitable[T]) -> T:
        """Cancels what is awaited when the time has come, and raises Rang then."""
        task = asyncio.current_task()
        assert task
        cancellations = task.cancelling()
        self._arm()
        self._waiting = task
        try:
            return await awaited
        except asyncio.CancelledError as error:
            if self._rings and task.cancelling() <= cancellations + 1:
                raise Rang from error
            raise
        finally:
            self._waiting = None
            if self._rings:
                self._rings = False
                task.uncancel()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _arm(self) -> None:
        """Leaves a timer that comes too early, and that is set again then."""
        if self._timer and self._timer.when() > self.due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self.due < math.inf:
            self._timer = self._loop.call_at(self.due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._loop.time() < self.due:
            self._arm()
            return
        self._rings = True
        self._waiting.cancel()
