"""A replacement for EngineProcess whose output a test scripts."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from oruel.engine.client import EngineClient
from oruel.engine.protocol import (
    EngineLoad,
    EngineReady,
    SequenceFailed,
    SequenceStarted,
    Start,
    StepOutput,
    Submit,
    ToEngine,
    TokenOutput,
)
from oruel.errors import EngineFailed


class ScriptedProcess:
    """`sent` holds the messages of the client; `step` and `die` send it events."""

    def __init__(
        self,
        start: Start,
        *,
        environment: Mapping[str, str] | None = None,
        on_step: Callable[[StepOutput], None],
        on_death: Callable[[EngineFailed], None],
        watchdog_seconds: float,
    ) -> None:
        self.die = on_death
        self.watchdog_seconds = watchdog_seconds
        self.sent: list[ToEngine] = []
        self._parallel = start.parallel or 4
        self._on_step = on_step
        self._steps = itertools.count(1)

    async def start(self) -> EngineReady:
        return EngineReady(context=256, pool=256 * self._parallel, parallel=self._parallel, kernels="scripted")

    async def close(self) -> None:
        pass

    def send(self, message: ToEngine) -> None:
        self.sent.append(message)

    @property
    def submitted(self) -> list[Submit]:
        return [message for message in self.sent if isinstance(message, Submit)]

    def step(
        self, *tokens: TokenOutput, started: Iterable[SequenceStarted] = (), failures: Iterable[SequenceFailed] = ()
    ) -> None:
        self._on_step(StepOutput(list(tokens), list(failures), list(started), EngineLoad(steps=next(self._steps))))


async def scripted_engine(
    monkeypatch: pytest.MonkeyPatch, *, parallel: int = 4, **settings: Any
) -> tuple[EngineClient, ScriptedProcess]:
    made: list[ScriptedProcess] = []

    def make(start: Start, **callbacks: Any) -> ScriptedProcess:
        made.append(ScriptedProcess(start, **callbacks))
        return made[0]

    monkeypatch.setattr("oruel.engine.client.EngineProcess", make)
    client = EngineClient(Start(model="scripted", parallel=parallel), **settings)
    await client.start()
    return client, made[0]
