"""An event loop on a clock of its own, so that timeouts cost no time and a busy machine causes none."""

import asyncio
import selectors
from typing import Any

# A jump of the clock waits this long for bytes on their way through the kernel.
SETTLE_SECONDS = 0.002

VIRTUAL_TIME: tuple[str, dict[str, Any]] = ("asyncio", {"loop_factory": lambda: VirtualTimeLoop()})
"""A value for the fixture anyio_backend."""


class JumpingSelector(selectors.DefaultSelector):
    """When nothing happens it jumps to the next timer instead of waiting for it. `now` is in seconds."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not timeout or timeout < 0:
            return super().select(timeout)
        if not (ready := super().select(SETTLE_SECONDS)):
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while any task can run. Both ends of a connection must be on this loop: it doesn't wait
    for other threads and processes.
    """

    def __init__(self) -> None:
        self._clock = JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now
