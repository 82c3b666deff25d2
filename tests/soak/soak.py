"""One run: puts a real server under random load and disturbances, then checks it at rest."""

import asyncio
import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx2

from tests.soak.asker import Asker
from tests.soak.disturber import Disturber, gauge
from tests.soak.memory import Memory
from tests.soak.plan import Plan
from tests.soak.processes import engine_of, is_visible
from tests.soak.repeats import Repeats
from tests.soak.tally import Tally
from tests.soak.workload import ServedModel, Workload, probe_bodies
from tests.soak.wrong import CheckFailed, require

MAX_CONCURRENT = 40
REST_SECONDS = 30
PROGRESS_SECONDS = 10
PROBE_SECONDS = 2
SAMPLE_SECONDS = 2

# After so many failures, the rest of the run would show nothing new.
MAX_FAILURES = 1000


@dataclass(frozen=True)
class Options:
    """`flags` are passed to the server."""

    minutes: float
    seed: int
    flags: tuple[str, ...]


class Soak:
    """`server` is the id of the API process. Failures are recorded in `tally`; `run` doesn't raise them."""

    def __init__(self, options: Options, client: httpx2.AsyncClient, model: ServedModel, server: int) -> None:
        self._options = options
        self._client = client
        self._model = model
        self._server = server
        self._random = Random(f"soak-{options.seed}")
        self._begun = time.monotonic()
        self._concurrent = 1
        self._probed = 0
        self._memories: dict[int, Memory] = {}
        self._disturber = Disturber(client, server, Random(f"soak-{options.seed}-disturber"))
        self._repeats = Repeats(self._random)
        self.tally = Tally()
        self._asker = Asker(client, model.name, self._disturber, self._repeats, self.tally)

    @property
    def _half(self) -> float:
        return self._begun + 30 * self._options.minutes

    @property
    def _end(self) -> float:
        return self._begun + 60 * self._options.minutes

    @property
    def _is_running(self) -> bool:
        return time.monotonic() < self._end and self.tally.failures < MAX_FAILURES

    async def run(self) -> None:
        await self._probe_all()
        if self.tally.failures:
            return
        self._begun = time.monotonic()
        background = [asyncio.create_task(work) for work in (self._vary(), self._sample(), self._print_progress())]
        workers = [self._work(number) for number in range(MAX_CONCURRENT)]
        await asyncio.gather(self._record_failure(self._disturb()), self._probe(), *workers)
        await self._record_failure(self._check_rest())
        await self._probe_all()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self._record_failure(self._check_memory())

    def summary(self) -> dict[str, Any]:
        return {
            "seed": self._options.seed,
            "minutes": self._options.minutes,
            **self.tally.summary(),
            "kills": self._disturber.kills,
            "stops": self._disturber.stops,
            "repeats": {"compared": self._repeats.compared, "differed": self._repeats.differed},
            "memory_mib": {self._name(process): memory.summary() for process, memory in self._memories.items()},
        }

    async def _record_failure(self, check: Coroutine[Any, Any, None]) -> None:
        try:
            await check
        except (CheckFailed, httpx2.TransportError) as error:
            self.tally.fail(str(error) or repr(error))

    async def _work(self, number: int) -> None:
        workload = Workload(self._options.seed, number, self._model)
        while self._is_running:
            if number >= self._concurrent:
                await asyncio.sleep(0.2)
                continue
            plan = workload.next()
            if answer := await self._asker.ask(plan):
                workload.remember_answer(plan, answer.choices[0].message.content)
            await asyncio.sleep(workload.pause())

    async def _vary(self) -> None:
        """Varies the number of concurrent requests between 1 and the maximum, a few times a minute."""
        while True:
            self._concurrent = round(math.exp(self._random.uniform(0, math.log(MAX_CONCURRENT))))
            await asyncio.sleep(self._random.uniform(5, 20))

    async def _probe(self) -> None:
        while self._is_running:
            await self._asker.ask(self._probe_plan(self._repeats.again()))
            await asyncio.sleep(PROBE_SECONDS)

    async def _probe_all(self) -> None:
        for body in probe_bodies(self._options.seed, self._model):
            await self._asker.ask(self._probe_plan(body))

    def _probe_plan(self, body: dict[str, Any]) -> Plan:
        self._probed += 1
        return Plan(f"soak-{self._options.seed}-probe-{self._probed}", body)

    async def _disturb(self) -> None:
        if is_visible():
            await self._disturber.run(self._half)

    async def _sample(self) -> None:
        while is_visible():
            now, engine = time.monotonic(), engine_of(self._server)
            for process in (self._server, *([engine] if engine else [])):
                self._memories.setdefault(process, Memory(process)).sample(now)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _print_progress(self) -> None:
        while True:
            seconds = time.monotonic() - self._begun
            memory = ", ".join(f"{self._name(process)} {m.now:.0f} MiB" for process, m in self._current_memories())
            signals = f"{self._disturber.kills} kills, {self._disturber.stops} stops"
            print(f"{seconds:5.0f} s  {self.tally.progress}; {signals}; {memory}", flush=True)
            await asyncio.sleep(PROGRESS_SECONDS)

    async def _check_rest(self) -> None:
        """Raises CheckFailed if a slot was leaked, or if an engine restarted without a kill or stop."""
        restarts = await gauge(self._client, "restarts")
        signals = self._disturber.disturbances
        require(restarts == signals, f"{restarts:g} restarts after {signals} kills and stops")
        deadline = time.monotonic() + REST_SECONDS
        while busy := [await gauge(self._client, name) for name in ("running", "waiting")]:
            if not any(busy):
                return
            failure = f"at rest, but {busy[0]:g} sequences run and {busy[1]:g} wait"
            require(time.monotonic() < deadline, failure)
            await asyncio.sleep(0.2)

    async def _check_memory(self) -> None:
        for process, memory in self._current_memories():
            memory.check(self._name(process), self._half)

    def _current_memories(self) -> list[tuple[int, Memory]]:
        """The samples of the API process and the current engine process."""
        return list(self._memories.items())[:1] + list(self._memories.items())[1:][-1:]

    def _name(self, process: int) -> str:
        return "api" if process == self._server else f"engine {process}"
