"""The API process's side of the engine: submits sequences to the engine process and distributes their tokens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from oruel.constraints.spec import ConstraintSpec
from oruel.engine.generation import Generation
from oruel.engine.live_sequences import LiveSequences
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
from oruel.errors import EngineFailed
from oruel.types import SamplingParams, Tier


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
        self._live = LiveSequences(max_waiting)

    async def start(self) -> EngineReady:
        """Raises ModelLoadError."""
        ready = await self.process.start()
        self._live.parallel = ready.parallel
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
        sequences = self._live.numbers(choices)
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
                self._live.add(sequence, generation)
            yield generation
        finally:
            generation.cancel_all()

    def require_room(self, choices: int) -> None:
        """Raises what LiveSequences.require_room raises."""
        self._live.require_room(choices)

    def cancel(self, sequence: int) -> None:
        if self._live.remove(sequence):
            # A dead engine has already forgotten its sequences.
            with suppress(EngineFailed):
                self.process.send(Cancel(sequence))

    def _deliver(self, step: StepOutput) -> None:
        self.load = step.load
        for started in step.started:
            self._begin(started)
        for token in step.tokens:
            # A sequence cancelled here may still have a token in transit.
            generation = self._live.remove(token.sequence) if token.finish else self._live.get(token.sequence)
            if generation:
                generation.receive(token)
        for failure in step.failures:
            if generation := self._live.remove(failure.sequence):
                generation.receive(failure)

    def _begin(self, started: SequenceStarted) -> None:
        if generation := self._live.get(started.sequence):
            generation.start(started.cached)

    def _fail(self, error: EngineFailed) -> None:
        self.load = EngineLoad()
        self._live.fail(error)
