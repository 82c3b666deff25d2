"""Kills or stops the engine process at random moments, and knows when it was gone."""

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
from tests.soak.wrong import hold

PAUSE_SECONDS = (60.0, 180.0)
RECOVERY_SECONDS = 90.0


@dataclass
class Window:
    """From the signal until the endpoint is healthy again, in seconds of time.monotonic."""

    begun: float
    ended: float = math.inf


async def gauge(client: httpx2.AsyncClient, name: str) -> float:
    """One of the engine's gauges in /metrics. Raises Wrong where there is none of that name."""
    text = (await client.get("/metrics", timeout=10)).text
    found = re.search(rf"^oruel_engine_{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    hold(found is not None, f"no {name} in /metrics")
    assert found
    return float(found[1])


class Disturber:
    """`kills` and `stops` count the signals sent; each must lead to one restart."""

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

    def disturbed(self, begun: float, ended: float) -> bool:
        return any(window.begun <= ended and begun <= window.ended for window in self._windows)

    async def run(self, until: float) -> None:
        """Every one to three minutes, and in a short run six times in its length. Raises Wrong where the endpoint
        doesn't become healthy again.
        """
        shrink = min(1.0, (until - time.monotonic()) / 3 / PAUSE_SECONDS[1])
        while True:
            pause = shrink * self._random.uniform(*PAUSE_SECONDS)
            if time.monotonic() + pause >= until:
                return
            await asyncio.sleep(pause)
            await self._disturb()

    async def _disturb(self) -> None:
        engine = engine_of(self._server)
        hold(engine is not None, "a healthy endpoint has one engine process")
        assert engine is not None
        window = Window(time.monotonic())
        self._windows.append(window)
        stops = self._random.random() < 0.3
        self.stops += stops
        self.kills += not stops
        os.kill(engine, signal.SIGSTOP if stops else signal.SIGKILL)
        try:
            await self._recovered()
        except TimeoutError:
            name = "stopped" if stops else "killed"
            os.kill(engine, signal.SIGKILL)
            hold(False, f"not healthy {RECOVERY_SECONDS:g} s after the engine was {name}")
        window.ended = time.monotonic()

    async def _recovered(self) -> None:
        async with asyncio.timeout(RECOVERY_SECONDS):
            while not await self._is_healthy():
                await asyncio.sleep(0.2)

    async def _is_healthy(self) -> bool:
        restarted = await gauge(self._client, "restarts") >= self.disturbances
        return restarted and (await self._client.get("/health", timeout=10)).status_code == 200
