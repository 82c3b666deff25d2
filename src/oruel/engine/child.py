"""One engine process, from its start to its end: what it is told, what it says, and how long it may be silent."""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress

from oruel.engine.protocol import (
    LENGTH,
    MAX_FRAME_BYTES,
    FromEngine,
    Ping,
    Ready,
    Refused,
    Start,
    ToEngine,
    decode_from_engine,
    frame,
)
from oruel.errors import ModelLoadError

READ_AHEAD_BYTES = 2**20
LAST_MOMENTS_SECONDS = 5.0
TURNS_OF_SILENCE = 10


class Child:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ready_at = self._last_word_at = time.monotonic()
        self._spoke = False
        self._verdict: str | None = None

    @classmethod
    async def spawn(cls, start: Start) -> "Child":
        """A process that is about to load the model. Raises ModelLoadError where the system has no room for it."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "oruel.engine.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=READ_AHEAD_BYTES,
                # A Ctrl-C goes to the whole process group; when to stop is the API process's decision.
                start_new_session=True,
            )
        except OSError as error:
            raise ModelLoadError(f"The engine process can't be started: {error.strerror}.") from error
        child = cls(process)
        child.send(start)
        return child

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process.returncode is None else None

    @property
    def answered_seconds(self) -> float:
        """From Ready to the last word."""
        return self._last_word_at - self._ready_at

    async def ready(self) -> Ready:
        """Returns when the model is loaded, which may take minutes. Raises ModelLoadError with the engine's words."""
        match await self.read():
            case Ready() as ready:
                self._ready_at = self._last_word_at
                return ready
            case Refused(message):
                raise ModelLoadError(message)
            case _:
                ending = await self.bury()
                raise ModelLoadError(f"The engine process died while it loaded the model ({ending}).")

    def send(self, message: ToEngine) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(frame(message))

    async def read(self) -> FromEngine | None:
        """None when the process has closed its end, which it only does by ending."""
        assert self._process.stdout is not None
        try:
            (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
            assert length <= MAX_FRAME_BYTES
            message: FromEngine = decode_from_engine(await self._process.stdout.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        self._spoke = True
        self._last_word_at = time.monotonic()
        return message

    async def watch(self, seconds: float) -> None:
        """Kills the process once it has been silent for so long; a Ping gives it something to answer between steps.

        Silence is counted in turns of this event loop: one that comes late, or a machine that slept, adds one turn
        at most, however long it was away.
        """
        silent = 0
        while silent < TURNS_OF_SILENCE:
            self._spoke = False
            self.send(Ping())
            await asyncio.sleep(seconds / TURNS_OF_SILENCE)
            silent = 0 if self._spoke else silent + 1
        self._verdict = f"no answer for {seconds:g} s"
        self.kill()

    def kill(self) -> None:
        # By its number, since Process.kill may reap the process before asyncio's own watcher does.
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def bury(self) -> str:
        """Waits for the end of a process that has gone silent for good, and says how it came."""
        try:
            code = await asyncio.wait_for(self._process.wait(), LAST_MOMENTS_SECONDS)
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        return self._verdict or (f"signal {-code}" if code < 0 else f"exit status {code}")
