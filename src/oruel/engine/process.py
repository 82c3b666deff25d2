"""Keeps one engine process running: starts it, passes its output on, and replaces it when it dies or hangs."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Literal

from oruel.engine.child import EngineChild
from oruel.engine.crash_history import CrashHistory
from oruel.engine.protocol import EngineReady, Start, StepOutput, ToEngine
from oruel.errors import EngineFailed, ModelLoadError

log = logging.getLogger("oruel.engine")

Status = Literal["starting", "ok", "failed"]

# A step is small enough that even a slow model takes only seconds.
WATCHDOG_SECONDS = 30.0
LOADING_RETRY_SECONDS = 2


class EngineProcess:
    """Calls `on_step` with each step's output, and `on_death` with the reason when a process dies, both on the
    event loop. `status` is "starting" while a process loads the model, and "failed" while there is none.

    `environment`: the variables of the engine process; None means those of this process.
    `watchdog_seconds`: how long an engine that has loaded its model may be silent before it is killed.
    """

    def __init__(
        self,
        start: Start,
        *,
        environment: Mapping[str, str] | None = None,
        on_step: Callable[[StepOutput], None],
        on_death: Callable[[EngineFailed], None],
        watchdog_seconds: float = WATCHDOG_SECONDS,
    ) -> None:
        self.watchdog_seconds = watchdog_seconds
        self.status: Status = "starting"
        self.restarts = 0
        self._start = start
        self._environment = environment
        self._on_step = on_step
        self._on_death = on_death
        self._child: EngineChild | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._crashes = CrashHistory()
        self._next_attempt_at = 0.0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def detail(self) -> str:
        """A sentence about what is wrong; empty while the engine accepts work."""
        match self.status:
            case "ok":
                return ""
            case "failed":
                return f"{self._crashes}; the next attempt is in {math.ceil(self._pause_left)} s."
            case "starting":
                return f"{self._crashes}; it loads the model again." if self._crashes.count else "It loads the model."

    async def start(self) -> EngineReady:
        """Returns when the engine accepts work. Raises ModelLoadError with the engine's message."""
        child, ready = await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(child), name="engine supervisor")
        return ready

    def send(self, message: ToEngine) -> None:
        """Raises EngineFailed while no engine accepts work."""
        if self.status != "ok":
            raise EngineFailed(f"No engine is available now. {self.detail}", retry_after=self._retry_after)
        assert self._child is not None
        self._child.send(message)

    async def close(self) -> None:
        """Kills the process, since it has nothing to save. Its running requests fail."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        self.status = "failed"
        if self._child:
            self._child.kill()
            await self._child.wait_for_exit()
        self._on_death(EngineFailed("The server stopped before the answer was complete. Send the request again."))

    async def _spawn(self) -> tuple[EngineChild, EngineReady]:
        """Raises ModelLoadError."""
        self.status = "starting"
        self._child = await EngineChild.spawn(self._start, self._on_step, self._environment)
        ready = await self._child.ready()
        self.status = "ok"
        return self._child, ready

    async def _supervise(self, child: EngineChild) -> None:
        while True:
            ending = await self._wait_for_end(child)
            self._fail(ending, child.answered_seconds)
            self._on_death(
                EngineFailed(
                    f"The engine failed while it processed this request ({ending}). Send the request again.",
                    retry_after=self._retry_after,
                )
            )
            child = await self._restart()

    async def _wait_for_end(self, child: EngineChild) -> str:
        """Watches the process until it ends. Returns how it ended."""
        watching = asyncio.create_task(child.watch(self.watchdog_seconds), name="engine watchdog")
        try:
            await child.wait_closed()
        finally:
            watching.cancel()
        self.status = "failed"
        return await child.wait_for_exit()

    async def _restart(self) -> EngineChild:
        while True:
            await asyncio.sleep(self._pause_left)
            self.restarts += 1
            try:
                child, _ = await self._spawn()
            except ModelLoadError as error:
                log.error("The engine can't be restarted: %s", error.message)
                # The engine's message may name files, which the public health page must not show.
                self._fail("a model that can't be loaded (the log says why)", answered_seconds=0)
            else:
                return child

    def _fail(self, ending: str, answered_seconds: float) -> None:
        self.status = "failed"
        self._crashes = self._crashes.after(ending, answered_seconds)
        self._next_attempt_at = time.monotonic() + self._crashes.pause
        log.error("%s; the next attempt is in %g s.", self._crashes, self._crashes.pause)

    @property
    def _pause_left(self) -> float:
        """Seconds until the next attempt."""
        return max(0.0, self._next_attempt_at - time.monotonic())

    @property
    def _retry_after(self) -> int:
        """Seconds after which a request may succeed."""
        return math.ceil(self._pause_left) + LOADING_RETRY_SECONDS
