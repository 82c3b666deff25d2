"""One engine process from start to end: its messages and its watchdog."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from oruel.engine.frames import FrameReader
from oruel.engine.protocol import EngineReady, FromEngine, Ping, Start, StartFailed, StepOutput, ToEngine, frame
from oruel.errors import ModelLoadError

EXIT_SECONDS = 5.0
PINGS_BEFORE_KILL = 10


class EngineChild:
    """Calls `on_step` with each step's output, on the event loop."""

    _process: asyncio.subprocess.Process

    def __init__(self, start: Start, on_step: Callable[[StepOutput], None]) -> None:
        self._start = start
        self._on_step = on_step
        self._frames = FrameReader(self._receive)
        self._first: asyncio.Future[FromEngine] = asyncio.get_running_loop().create_future()
        self._ready_at = self._last_message_at = time.monotonic()
        self._has_answered = False
        self._kill_reason: str | None = None

    @classmethod
    async def spawn(
        cls, start: Start, on_step: Callable[[StepOutput], None], environment: Mapping[str, str] | None = None
    ) -> "EngineChild":
        """Starts a process that will load the model, with the given environment variables (None: those of this
        process).

        Raises ModelLoadError if the system can't start a process.
        """
        child = cls(start, on_step)
        try:
            await child._launch(environment)
        except OSError as error:
            raise ModelLoadError(f"The engine process can't be started: {error.strerror}.") from error
        child.send(start)
        return child

    async def _launch(self, environment: Mapping[str, str] | None) -> None:
        ours, theirs = os.pipe()
        try:
            await self._frames.read(ours)
            # This is the last await, since a cancellation after it would leak the process.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "oruel.engine.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=theirs,
                env=environment,
                # Ctrl-C reaches the whole process group, but the API process decides when to stop.
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process.returncode is None else None

    @property
    def answered_seconds(self) -> float:
        """Seconds from EngineReady to the last message."""
        return self._last_message_at - self._ready_at

    async def ready(self) -> EngineReady:
        """Returns when the model is loaded, which may take minutes. Raises ModelLoadError with the engine's message."""
        match await self._first_message():
            case EngineReady() as ready:
                self._ready_at = self._last_message_at
                return ready
            case StartFailed(message):
                raise ModelLoadError(message)
            case _:
                raise ModelLoadError(describe_death(self._start, await self.wait_for_exit()))

    def send(self, message: ToEngine) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(frame(message))

    async def wait_closed(self) -> None:
        """Returns when the process has closed its end of the pipe, which happens only when it ends."""
        await asyncio.wait({self._frames.ended})

    async def _first_message(self) -> FromEngine | None:
        """The first message; None if the process ended without one."""
        waited_for: list[asyncio.Future[Any]] = [self._first, self._frames.ended]
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        return self._first.result() if self._first.done() else None

    def _receive(self, message: FromEngine) -> None:
        self._has_answered = True
        self._last_message_at = time.monotonic()
        if not self._first.done():
            self._first.set_result(message)
        elif isinstance(message, StepOutput):
            self._on_step(message)

    async def watch(self, seconds: float) -> None:
        """Kills the process after `seconds` of silence. A Ping makes a healthy engine answer between steps.

        Silence is counted in turns of this event loop. A late turn, or a machine that was suspended, adds at most one
        turn, however long it took.
        """
        silent = 0
        while silent < PINGS_BEFORE_KILL:
            self._has_answered = False
            self.send(Ping())
            await asyncio.sleep(seconds / PINGS_BEFORE_KILL)
            silent = 0 if self._has_answered else silent + 1
        self._kill_reason = f"no answer for {seconds:g} s"
        self.kill()

    def kill(self) -> None:
        # By its pid, since Process.kill may reap the process before asyncio's own watcher does.
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def wait_for_exit(self) -> str:
        """Waits for the end of a process that has closed its pipe. Returns how it ended, such as "signal 9"."""
        try:
            code = await asyncio.wait_for(self._process.wait(), EXIT_SECONDS)
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        return self._kill_reason or (f"signal {-code}" if code < 0 else f"exit status {code}")


def describe_death(start: Start, ending: str) -> str:
    """The message for a process that ended before it was ready."""
    said = f"The engine process died while it loaded {start.model} ({ending}). "
    if start.library is None:
        return said + "Download the file again, or choose another; the lines above may say more."
    return said + (
        f"Either llama.cpp fails on the file, or {start.library} doesn't suit this machine: it may carry a C++ runtime "
        "of its own (build it without -static-libstdc++), or be made for other drivers. Try the bundled model, and try "
        "without LIBLLAMA."
    )
