"""Continuous batching: sequences join and leave between steps, and each step advances all that it can."""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oruel.engine import runner
from oruel.engine.protocol import Failure, Load, StepOutput, Submit, TokenOutput
from oruel.engine.runner import Context
from oruel.engine.scheduler import Chunk, Limits, Plan, schedule
from oruel.engine.sequence import Sequence
from oruel.errors import EngineFailed
from oruel.sampling.logprobs import logprobs
from oruel.sampling.sampler import Sampler
from oruel.types import FinishReason


class Engine:
    """Sees token ids only; `is_end` knows the model's end tokens. Not thread-safe: one thread owns it and calls
    submit, cancel and step in turn.
    """

    def __init__(
        self, context: Context, limits: Limits, *, vocabulary_size: int, is_end: Callable[[int], bool]
    ) -> None:
        self._context = context
        self._limits = limits
        self._vocabulary_size = vocabulary_size
        self._is_end = is_end
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._preemptions = 0
        self._steps = 0
        self._computed = 0

    def step(self) -> StepOutput:
        plan = schedule(tuple(self._waiting), self._running, self._limits)
        self._place(plan)
        logits = runner.run(self._context, plan.chunks)
        tokens, failures = self._commit(plan.chunks, logits)
        return StepOutput(tokens, failures, [], self._load())

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    def submit(self, request: Submit) -> None:
        sampler = Sampler(request.sampling, request.choice, self._vocabulary_size)
        self._waiting.append(
            Sequence(request.sequence, request.prompt, request.max_tokens, sampler, request.sampling.logprobs)
        )

    def cancel(self, sequence_id: int) -> None:
        for sequence in (*self._running, *self._waiting):
            if sequence.id == sequence_id:
                self._leave(sequence)

    def _load(self) -> Load:
        return Load(
            running=len(self._running),
            waiting=len(self._waiting),
            preemptions=self._preemptions,
            kv_used=sum(sequence.computed for sequence in self._running),
            steps=self._steps,
            computed=self._computed,
        )

    def _place(self, plan: Plan) -> None:
        for sequence in reversed(plan.preempted):
            self._running.remove(sequence)
            self._vacate(sequence)
            self._waiting.appendleft(sequence)
        for sequence in plan.admitted:
            self._waiting.popleft()
            taken = {running.slot for running in self._running}
            sequence.slot = next(slot for slot in range(self._limits.slots) if slot not in taken)
            self._running.append(sequence)
        self._preemptions += len(plan.preempted)

    def _commit(
        self, chunks: tuple[Chunk, ...], logits: NDArray[np.float32]
    ) -> tuple[list[TokenOutput], list[Failure]]:
        rows = iter(logits)
        tokens: list[TokenOutput] = []
        failures: list[Failure] = []
        for chunk in chunks:
            sequence, yields = chunk.sequence, chunk.yields
            self._computed += max(0, min(chunk.count, len(sequence.prompt) - sequence.computed))
            sequence.computed += chunk.count
            if yields:
                try:
                    tokens.append(self._advance(sequence, next(rows)))
                except EngineFailed as error:
                    # Logits that are no numbers end the sequence they belong to, not its neighbours.
                    self._leave(sequence)
                    failures.append(Failure(sequence.id, error.message))
        self._steps += 1
        return tokens, failures

    def _advance(self, sequence: Sequence, row: NDArray[np.float32]) -> TokenOutput:
        token = sequence.sampler.sample(row)
        sequence.sampler.accept(token)
        sequence.output.append(token)
        ended = self._is_end(token)
        finish: FinishReason | None = "stop" if ended else "length" if sequence.is_full else None
        if finish:
            self._leave(sequence)
        if sequence.logprobs is None or ended:
            return TokenOutput(sequence.id, token, finish)
        logprob, alternatives = logprobs(row, token, sequence.logprobs)
        return TokenOutput(sequence.id, token, finish, logprob, alternatives)

    def _leave(self, sequence: Sequence) -> None:
        if sequence.slot is None:
            self._waiting.remove(sequence)
        else:
            self._running.remove(sequence)
            self._vacate(sequence)

    def _vacate(self, sequence: Sequence) -> None:
        assert sequence.slot is not None
        self._context.forget(sequence.slot)
        sequence.slot = None
        sequence.computed = 0
