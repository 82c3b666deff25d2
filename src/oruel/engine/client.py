"""The API process's side of the engine: submits sequences to the engine process and distributes their tokens."""

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from oruel.constraints.spec import ConstraintSpec
from oruel.engine.generation import Generation
from oruel.engine.process import WATCHDOG_SECONDS, EngineProcess
from oruel.engine.protocol import (
    Cancel,
    EngineLoad,
    EngineReady,
    SequenceStarted,
    Start,
    StepOutput,
    Submit,
)
from oruel.errors import EngineFailed, InvalidParameter, Overloaded
from oruel.types import SamplingParams, Tier

MAX_RETRY_SECONDS = 60


class EngineClient:
    """Belongs to one event loop. `load` is the engine's state as of its last step.

    Holds at most `max_waiting` sequences in addition to those that the engine runs at once.
    """

    def __init__(
        self,
        start: Start,
        *,
        environment: Mapping[str, str] | None = None,
        max_waiting: int = 256,
        watchdog_seconds: float = WATCHDOG_SECONDS,
    ) -> None:
        self.process = EngineProcess(
            start,
            environment=environment,
            on_step=self._deliver,
            on_death=self._fail,
            watchdog_seconds=watchdog_seconds,
        )
        self.load = EngineLoad()
        self._max_waiting = max_waiting
        self._capacity = max_waiting
        self._live: dict[int, Generation] = {}
        self._ids = itertools.count()

    async def start(self) -> EngineReady:
        """Raises ModelLoadError."""
        ready = await self.process.start()
        self._capacity = ready.parallel + self._max_waiting
        return ready

    async def close(self) -> None:
        await self.process.close()

    @contextmanager
    def generate(
        self,
        prompt: list[int],
        sampling: SamplingParams,
        *,
        choices: int,
        max_tokens: int,
        tier: Tier = "standard",
        cache_salt: str = "",
        constraint: ConstraintSpec | None = None,
        prefix: tuple[int, ...] = (),
    ) -> Iterator[Generation]:
        """Starts one sequence per choice. Leaving the context cancels those that are still live.

        Raises what `require_room` raises, and EngineFailed while no engine is available.
        """
        self.require_room(choices)
        sequences = [next(self._ids) for _ in range(choices)]
        generation = Generation(sequences, self.cancel)
        try:
            for choice, sequence in enumerate(sequences):
                submit = Submit(
                    sequence,
                    prompt,
                    choice=choice,
                    max_tokens=max_tokens,
                    sampling=sampling,
                    tier=tier,
                    cache_salt=cache_salt,
                    constraint=constraint,
                    prefix=prefix,
                )
                self.process.send(submit)
                self._live[sequence] = generation
            yield generation
        finally:
            generation.cancel_all()

    def require_room(self, choices: int) -> None:
        """Raises Overloaded if the queue has no room for `choices` sequences now, InvalidParameter if it never will."""
        if choices > self._capacity:
            raise InvalidParameter(
                f"n is {choices}, but this server allows at most {self._capacity} choices, running or waiting. "
                "Request fewer.",
                param="n",
            )
        if len(self._live) + choices > self._capacity:
            seconds = self._retry_seconds()
            raise Overloaded(
                f"The queue is full: {len(self._live)} sequences are running or waiting, of at most {self._capacity}. "
                f"Try again in {seconds} s.",
                retry_after=seconds,
            )

    def cancel(self, sequence: int) -> None:
        if self._live.pop(sequence, None):
            # A dead engine has already forgotten its sequences.
            with suppress(EngineFailed):
                self.process.send(Cancel(sequence))

    def _retry_seconds(self) -> int:
        """The time that the head of the queue has waited, which is about how long the queue takes to advance."""
        head = max((generation.age for generation in self._live.values() if generation.admission is None), default=0.0)
        return min(max(1, math.ceil(head)), MAX_RETRY_SECONDS)

    def _deliver(self, step: StepOutput) -> None:
        self.load = step.load
        for started in step.started:
            self._begin(started)
        for token in step.tokens:
            # A sequence cancelled here may still have a token in transit.
            generation = self._live.pop(token.sequence, None) if token.finish else self._live.get(token.sequence)
            if generation:
                generation.receive(token)
        for failure in step.failures:
            if generation := self._live.pop(failure.sequence, None):
                generation.receive(failure)

    def _begin(self, started: SequenceStarted) -> None:
        if generation := self._live.get(started.sequence):
            generation.start(started.cached)

    def _fail(self, error: EngineFailed) -> None:
        self.load = EngineLoad()
        for generation in set(self._live.values()):
            generation.receive(error)
        self._live.clear()
