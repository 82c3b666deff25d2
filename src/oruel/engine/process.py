"""Keeps one engine process running: starts it, reads its steps, and starts another when it dies."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Literal

from oruel.engine.protocol import (
    LENGTH,
    MAX_FRAME_BYTES,
    FromEngine,
    Ready,
    Refused,
    Start,
    StepOutput,
    ToEngine,
    decode_from_engine,
    frame,
)
from oruel.errors import EngineFailed, ModelLoadError

log = logging.getLogger("oruel.engine")

Status = Literal["starting", "ok", "failed"]

READ_AHEAD_BYTES = 2**20
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEPS_THAT_SHOW_HEALTH = 100
GRACE_SECONDS = 5.0


class EngineProcess:
    """`on_step` is called with each step's output, `on_death` with the reason when a process has died; both on
    the event loop.
    """

    def __init__(
        self, start: Start, *, on_step: Callable[[StepOutput], None], on_death: Callable[[EngineFailed], None]
    ) -> None:
        self._start = start
        self._on_step = on_step
        self._on_death = on_death
        self._child: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.status: Status = "starting"
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.returncode is None else None

    async def start(self) -> Ready:
        """Returns when the engine takes work. Raises ModelLoadError with the engine's own words."""
        ready = await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(), name="engine supervisor")
        return ready

    def send(self, message: ToEngine) -> None:
        """Raises EngineFailed while no engine takes work."""
        if self.status != "ok":
            raise EngineFailed("The engine is being restarted. Try again in a few seconds.", retry_after=2)
        self._write(message)

    async def close(self) -> None:
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        if self._child:
            await stop(self._child)

    async def _spawn(self) -> Ready:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "oruel.engine.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=READ_AHEAD_BYTES,
        )
        self._write(self._start)
        match await self._read():
            case Ready() as ready:
                self.status = "ok"
                return ready
            case Refused(message):
                raise ModelLoadError(message)
            case _:
                code = await self._child.wait()
                raise ModelLoadError(f"The engine process died while it loaded the model ({ending(code)}).")

    async def _supervise(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            steps = await self._pump()
            if steps > STEPS_THAT_SHOW_HEALTH:
                pause = FIRST_PAUSE_SECONDS
            await self._bury()
            while self.status != "ok":
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                try:
                    await self._spawn()
                except ModelLoadError as error:
                    self.status = "failed"
                    log.error("The engine can't be restarted: %s", error.message)

    async def _pump(self) -> int:
        """Passes steps on until the process ends; returns how many there were."""
        steps = 0
        while (message := await self._read()) is not None:
            assert isinstance(message, StepOutput)
            self._on_step(message)
            steps += 1
        return steps

    async def _bury(self) -> None:
        assert self._child is not None
        self.status = "starting"
        self.restarts += 1
        code = await self._child.wait()
        log.error("The engine process died (%s); starting another.", ending(code))
        self._on_death(EngineFailed("The engine died while it held this request. Send it again.", retry_after=2))

    def _write(self, message: ToEngine) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(frame(message))

    async def _read(self) -> FromEngine | None:
        """None when the process has closed its end, which it only does by dying."""
        assert self._child is not None
        assert self._child.stdout is not None
        try:
            (length,) = LENGTH.unpack(await self._child.stdout.readexactly(LENGTH.size))
            assert length <= MAX_FRAME_BYTES
            message: FromEngine = decode_from_engine(await self._child.stdout.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        return message


async def stop(child: asyncio.subprocess.Process) -> None:
    """Closing its stdin asks an engine to leave after the step in hand; one that doesn't is killed."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        await asyncio.wait_for(child.wait(), GRACE_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()


def ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
