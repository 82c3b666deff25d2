"""One run: sends mutated requests on several connections at once, and checks the health of the server meanwhile."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2

from tests.fuzz.cases import Case, Target, make_case
from tests.fuzz.exchange import HANG_SECONDS, exchange
from tests.fuzz.judge import judge
from tests.server import RunningServer
from tests.soak.memory import MEBIBYTE, Memory, memory_growth
from tests.soak.processes import engine_of, is_visible
from tests.soak.wrong import CheckFailed, require

CONNECTIONS = 4
PROBE_SECONDS = 2.0
PROBE_TRIES = 3
BUSY = (503, 504)
SAMPLE_SECONDS = 0.5
PROGRESS_SECONDS = 10.0
# For each process, between the first and the last quarter of the second half of the run.
MAX_GROWTH = 64 * MEBIBYTE
MIN_SAMPLES = 16
MAX_FAILURES = 50
MAX_SHOWN_BYTES = 3000
PLAIN = {"messages": [{"role": "user", "content": "Tell me a joke."}], "temperature": 0, "max_tokens": 12}


@dataclass(frozen=True)
class Options:
    """`only` is the number of the one case to run, None for all. `flags` are passed to the server."""

    minutes: float
    seed: int
    only: int | None
    flags: tuple[str, ...]


@dataclass
class Fuzz:
    """Prints and counts failures as they happen; `run` doesn't raise them."""

    options: Options
    server: RunningServer
    target: Target
    failures: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    probes: int = 0

    def __post_init__(self) -> None:
        self._numbers: Iterator[int] = count() if self.options.only is None else iter([self.options.only])
        self._end = time.monotonic() + 60 * self.options.minutes
        self._process = self.server.process.pid
        self._engine = engine_of(self._process)
        self._memories = {"api": Memory(self._process)} | (
            {"engine": Memory(self._engine)} if self._engine is not None else {}
        )
        self._lines_read = 0
        self._expected = ""
        self._started: list[int] = []

    @property
    def _is_running(self) -> bool:
        return time.monotonic() < self._end and self.failures < MAX_FAILURES

    async def run(self) -> None:
        async with httpx2.AsyncClient(base_url=self.server.url, timeout=HANG_SECONDS) as client:
            self._expected = await self._plain_answer(client)
            background = [asyncio.create_task(work) for work in (self._sample(), self._print_progress())]
            await asyncio.gather(self._probe(client), *(self._work() for _ in range(CONNECTIONS)))
            await self._record_failure(self._check_health(client))
            await self._record_failure(self._check_memory())
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def summary(self) -> dict[str, Any]:
        return {
            "seed": self.options.seed,
            "minutes": self.options.minutes,
            "failures": self.failures,
            "cases": dict(sorted(self.kinds.items())),
            "statuses": dict(sorted(self.statuses.items())),
            "probes": self.probes,
            "memory_mib": {name: memory.summary() for name, memory in self._memories.items()},
        }

    def fail(self, failure: str) -> None:
        self.failures += 1
        print(f"FAILED  {failure}", flush=True)

    async def _work(self) -> None:
        for number in self._numbers:
            if not self._is_running:
                return
            case = make_case(self.options.seed, number, self.target)
            self.kinds[case.kind] += 1
            self._started = [*self._started[-20:], number]
            try:
                await self._try(case)
            except (CheckFailed, OSError) as error:
                self.fail(f"case {number}, {case.kind}: {error!s:.600}")
                print(f"        rerun: python -m tests.fuzz --seed {self.options.seed} --case {number}")
                print(f"        sent {len(case.sent)} bytes: {case.sent[:MAX_SHOWN_BYTES]!r}", flush=True)

    async def _try(self, case: Case) -> None:
        answers = await exchange(self.target.port, case)
        for answer in answers.found:
            self.statuses[answer.status] += 1
            judge(answer, may_be_cut=case.methods is None or case.leaves)

    async def _probe(self, client: httpx2.AsyncClient) -> None:
        """Sends a plain chat and checks the server's health, again and again."""
        while self._is_running and self.options.only is None:
            await self._record_failure(self._check_health(client))
            self.probes += 1
            await asyncio.sleep(PROBE_SECONDS)

    async def _check_health(self, client: httpx2.AsyncClient) -> None:
        self._check_log()
        require(self.server.process.poll() is None, f"the server ended with status {self.server.process.returncode}")
        answer = await self._plain_answer(client)
        require(answer == self._expected, f"a plain chat gets the answer {answer!r} instead of {self._expected!r}")
        health = (await client.get("/health")).json()
        require(health["status"] == "ok" and health["restarts"] == 0, f"/health says {health}")
        require(engine_of(self._process) == self._engine, "the engine process was replaced")

    async def _plain_answer(self, client: httpx2.AsyncClient) -> str:
        """The answer to a plain chat. A busy server may refuse one request, but not several in a row."""
        for _ in range(PROBE_TRIES):
            response = await client.post("/v1/chat/completions", json={**PLAIN, "model": self.target.model})
            if response.status_code not in BUSY:
                break
            await asyncio.sleep(1)
        require(response.status_code == 200, f"a plain chat gets status {response.status_code}: {response.text:.300}")
        return str(response.json()["choices"][0]["message"]["content"])

    def _check_log(self) -> None:
        """Raises CheckFailed for a traceback since the last check."""
        lines = self.server.lines[self._lines_read :]
        self._lines_read += len(lines)
        for line in lines:
            require("Traceback" not in line, f"a traceback in the log, near the cases {self._started}: {line:.3000}")

    async def _sample(self) -> None:
        while is_visible():
            for memory in self._memories.values():
                memory.sample(time.monotonic())
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _check_memory(self) -> None:
        for name, memory in self._memories.items():
            samples = memory.samples[len(memory.samples) // 2 :]
            if len(samples) >= MIN_SAMPLES:
                growth = memory_growth(samples)
                require(growth <= MAX_GROWTH, f"the {name} process grew by {growth / MEBIBYTE:.0f} MiB")

    async def _print_progress(self) -> None:
        while True:
            memory = ", ".join(f"{name} {memory.now:.0f} MiB" for name, memory in self._memories.items())
            cases = sum(self.kinds.values())
            print(f"{cases} cases, {self.failures} failures; {memory}; {json.dumps(self.statuses)}", flush=True)
            await asyncio.sleep(PROGRESS_SECONDS)

    async def _record_failure(self, check: Coroutine[Any, Any, None]) -> None:
        try:
            await check
        except (CheckFailed, httpx2.HTTPError) as error:
            self.fail(f"near the cases {self._started}: {error!s:.3000}" if str(error) else repr(error))
