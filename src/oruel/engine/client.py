"""The API process's side of the engine: hands sequences to the engine process and their tokens to who waits."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from oruel.engine.process import EngineProcess
from oruel.engine.protocol import Cancel, Failure, Load, Ready, Start, StepOutput, Submit, TokenOutput
from oruel.errors import EngineFailed, Overloaded
from oruel.types import SamplingParams

MAX_SEQUENCES = 1024


class Generation:
    """The sequences of one request, one per choice, each live until it has ended or was cancelled."""

    def __init__(self, engine: "EngineClient", sequences: list[int]) -> None:
        self._engine = engine
        self._choices = {sequence: choice for choice, sequence in enumerate(sequences)}
        self._arrived: asyncio.Queue[TokenOutput | Failure | EngineFailed] = asyncio.Queue()

    async def outputs(self) -> list[tuple[int, TokenOutput]]:
        """All that has arrived since the last call, as (choice, output), at least one.

        Raises EngineFailed; the other choices are then of no use to the caller.
        """
        arrived = [await self._arrived.get()]
        while not self._arrived.empty():
            arrived.append(self._arrived.get_nowait())
        return [(self._choices[output.sequence], output) for output in map(token_or_raise, arrived)]

    def cancel(self, choice: int) -> None:
        for sequence, its_choice in self._choices.items():
            if its_choice == choice:
                self._engine.cancel(sequence)

    def cancel_all(self) -> None:
        for sequence in self._choices:
            self._engine.cancel(sequence)

    def receive(self, arrival: TokenOutput | Failure | EngineFailed) -> None:
        self._arrived.put_nowait(arrival)


class EngineClient:
    """Used on one event loop. `load` is the engine's state as of its last step."""

    def __init__(self, start: Start) -> None:
        self.process = EngineProcess(start, on_step=self._deliver, on_death=self._fail)
        self.load = Load()
        self._live: dict[int, Generation] = {}
        self._ids = itertools.count()

    async def start(self) -> Ready:
        """Raises ModelLoadError."""
        return await self.process.start()

    async def close(self) -> None:
        await self.process.close()

    @contextmanager
    def generate(
        self, prompt: list[int], sampling: SamplingParams, *, choices: int, max_tokens: int
    ) -> Iterator[Generation]:
        """Starts one sequence per choice; leaving the context cancels what is still live.

        Raises Overloaded where too many sequences are live already, EngineFailed while there is no engine.
        """
        if len(self._live) + choices > MAX_SEQUENCES:
            raise Overloaded(f"{len(self._live)} sequences are running or waiting already. Try again later.")
        sequences = [next(self._ids) for _ in range(choices)]
        generation = Generation(self, sequences)
        try:
            for choice, sequence in enumerate(sequences):
                self.process.send(Submit(sequence, prompt, choice, max_tokens, sampling))
                self._live[sequence] = generation
            yield generation
        finally:
            generation.cancel_all()

    def cancel(self, sequence: int) -> None:
        if self._live.pop(sequence, None):
            # A dead engine has forgotten its sequences already.
            with suppress(EngineFailed):
                self.process.send(Cancel(sequence))

    def _deliver(self, step: StepOutput) -> None:
        self.load = step.load
        for token in step.tokens:
            # Sequences cancelled here may still have had a token on its way.
            generation = self._live.pop(token.sequence, None) if token.finish else self._live.get(token.sequence)
            if generation:
                generation.receive(token)
        for failure in step.failures:
            if generation := self._live.pop(failure.sequence, None):
                generation.receive(failure)

    def _fail(self, error: EngineFailed) -> None:
        self.load = Load()
        for generation in set(self._live.values()):
            generation.receive(error)
        self._live.clear()


def token_or_raise(arrival: TokenOutput | Failure | EngineFailed) -> TokenOutput:
    match arrival:
        case Failure(_, message):
            raise EngineFailed(message)
        case EngineFailed():
            raise arrival
        case TokenOutput():
            return arrival
