"""Kills or stops the engine process at random times, and records when it was down."""

import asyncio
import math
import os
import re
import signal
import time
from dataclasses import dataclass
from random import Random

import httpx2

from tests.soak.processes import engine_of
from tests.soak.wrong import require

PAUSE_SECONDS = (60.0, 180.0)
RECOVERY_SECONDS = 90.0


@dataclass
class Window:
    """The time from the signal until the endpoint is healthy again, by time.monotonic."""

    begun: float
    ended: float = math.inf


async def gauge(client: httpx2.AsyncClient, name: str) -> float:
    """Reads a gauge of the engine from /metrics. Raises CheckFailed if it is missing."""
    text = (await client.get("/metrics", timeout=10)).text
    found = re.search(rf"^oruel_engine_{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    require(found is not None, f"no {name} in /metrics")
    assert found
    return float(found[1])


class Disturber:
    """`kills` and `stops` count the signals sent. Each must cause one restart."""

    def __init__(self, client: httpx2.AsyncClient, server: int, random: Random) -> None:
        self._client = client
        self._server = server
        self._random = random
        self._windows: list[Window] = []
        self.kills = 0
        self.stops = 0

    @property
    def disturbances(self) -> int:
        return self.kills + self.stops

    def was_disturbed(self, begun: float, ended: float) -> bool:
        return any(window.begun <= ended and begun <= window.ended for window in self._windows)

    async def run(self, until: float) -> None:
        """Disturbs the engine every one to three minutes, or six times in a short run. Raises CheckFailed if the
        endpoint doesn't recover.
        """
        scale = min(1.0, (until - time.monotonic()) / 3 / PAUSE_SECONDS[1])
        while True:
            pause = scale * self._random.uniform(*PAUSE_SECONDS)
            if time.monotonic() + pause >= until:
                return
            await asyncio.sleep(pause)
            await self._disturb()

    async def _disturb(self) -> None:
        engine = engine_of(self._server)
        require(engine is not None, "a healthy endpoint without exactly one engine process")
        assert engine is not None
        window = Window(time.monotonic())
        self._windows.append(window)
        stops = self._random.random() < 0.3
        self.stops += stops
        self.kills += not stops
        os.kill(engine, signal.SIGSTOP if stops else signal.SIGKILL)
        try:
            await self._wait_until_healthy()
        except TimeoutError:
            name = "stopped" if stops else "killed"
            os.kill(engine, signal.SIGKILL)
            require(False, f"not healthy {RECOVERY_SECONDS:g} s after the engine was {name}")
        window.ended = time.monotonic()

    async def _wait_until_healthy(self) -> None:
        async with asyncio.timeout(RECOVERY_SECONDS):
            while not await self._is_healthy():
                await asyncio.sleep(0.2)

    async def _is_healthy(self) -> bool:
        restarted = await gauge(self._client, "restarts") >= self.disturbances
        return restarted and (await self._client.get("/health", timeout=10)).status_code == 200
