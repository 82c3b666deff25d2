"""Continuous batching: sequences join and leave between steps, and each step advances every running sequence."""

import bisect
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.engine.batch import Batch, decode_batch, prefill_batches
from oruel.engine.protocol import Ending, EngineLoad, SequenceFailed, SequenceStarted, StepOutput, Submit, TokenOutput
from oruel.engine.scheduler import StepLimits, StepPlan, schedule
from oruel.engine.sequence import Sequence
from oruel.engine.slots import Placement, Slot
from oruel.errors import EngineFailed, SchemaRefused
from oruel.sampling.constraint import UNDECIDED, Constraint, WorkBudget
from oruel.sampling.logprobs import logprobs
from oruel.sampling.sampler import Sampler
from oruel.sampling.traced_sampler import TracedSampler
from oruel.types import TokenTrace

# The work budget of all constraints in one step, about 10 ms: more than almost any token needs.
WORK_PER_STEP = 1500


class DecodeContext(Protocol):
    """The interface of a loaded model to the engine. llama.context.Context implements it."""

    @property
    def window(self) -> int: ...

    @property
    def sequences(self) -> int: ...

    @property
    def threads(self) -> int: ...

    def decode(
        self, tokens: Ordered[int], positions: Ordered[int], sequence_ids: Ordered[int], outputs: Ordered[bool]
    ) -> NDArray[np.float32]: ...

    def copy(self, source: int, target: int) -> None: ...

    def forget(self, sequence_id: int, from_position: int = 0) -> None: ...


@dataclass(frozen=True, slots=True)
class IdleSlot:
    """What an idle slot still holds: its tokens, how many of them were computed in batch-invariant shapes, and the last
    step in which it was used.
    """

    tokens: list[int]
    invariant: int
    used: int
    cache_salt: str = ""


class Engine:
    """Processes token ids only; `is_end` recognises the model's end tokens. Not thread-safe: submit, cancel and step
    must be called from one thread.
    """

    def __init__(
        self,
        context: DecodeContext,
        limits: StepLimits,
        *,
        vocabulary_size: int,
        is_end: Callable[[int], bool],
    ) -> None:
        self._context = context
        self._limits = limits
        self._vocabulary_size = vocabulary_size
        self._is_end = is_end
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []
        self._idle = {number: IdleSlot([], invariant=0, used=0) for number in range(context.sequences)}
        self._steps = self._preemptions = self._computed = self._cached = 0

    def step(self) -> StepOutput:
        """Plans a step, computes it, samples the next tokens and commits the result."""
        self._steps += 1
        tokens: list[TokenOutput] = []
        failures: list[SequenceFailed] = []
        work = self._resume(tokens, failures)
        # Only waiting sequences need to know what the slots hold.
        slots = self._slots() if self._waiting else []
        plan = schedule(self._waiting, self._running, slots, self._limits)
        started = self._apply_placements(plan)
        tokens += prefix_outputs(plan, started)
        for batch in self._batches(plan):
            logits = self._context.decode(batch.tokens, batch.positions, batch.slots, batch.outputs)
            self._commit(batch)
            for chunk, row in batch.yields:
                self._attempt(chunk.sequence, logits[row], work, tokens, failures)
        return self.report(tokens, failures, started)

    def _resume(self, tokens: list[TokenOutput], failures: list[SequenceFailed]) -> WorkBudget:
        """Continues undecided sequences, each with an equal share of the budget. Returns the budget that is left for
        others.
        """
        undecided = [(sequence, sequence.undecided) for sequence in self._running if sequence.undecided is not None]
        left = WORK_PER_STEP
        for sequence, logits in undecided:
            work = WorkBudget(WORK_PER_STEP // len(undecided))
            left -= work.left
            self._attempt(sequence, logits, work, tokens, failures)
            left += max(0, work.left)
        return WorkBudget(left)

    def _attempt(
        self,
        sequence: Sequence,
        row: NDArray[np.float32],
        work: WorkBudget,
        tokens: list[TokenOutput],
        failures: list[SequenceFailed],
    ) -> None:
        try:
            tokens += self._advance(sequence, row, work)
        except (EngineFailed, SchemaRefused) as error:
            # A fault in one sequence's logits or constraint doesn't affect the others.
            self._remove(sequence)
            failures.append(sequence_failure(sequence, error))

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    def submit(self, request: Submit, now: float, constraint: Constraint | None = None) -> None:
        """`now` is in seconds of any clock that doesn't run backwards. The sequence owns `constraint`."""
        sequence = Sequence(
            id=request.sequence,
            tokens=[*request.prompt, *request.prefix],
            prompt_length=len(request.prompt),
            max_tokens=request.max_tokens,
            sampler=self._build_sampler(request, constraint),
            logprobs=request.sampling.logprobs,
            tier=request.tier,
            arrived=now,
            cache_salt=request.cache_salt,
            reproducible=request.sampling.reproducible,
            prefix=request.prefix,
            param=request.constraint.param if request.constraint else "",
        )
        self._enqueue(sequence)

    def _build_sampler(self, request: Submit, constraint: Constraint | None) -> Sampler:
        assert not (request.prefix and constraint), "a prefix isn't checked against constraints"
        params, size = request.sampling, self._vocabulary_size
        if params.trace is None:
            sampler = Sampler(params, request.choice, size, constraint)
        else:
            sampler = TracedSampler(params, request.choice, size, constraint, params.trace)
        for token in request.prefix:
            sampler.accept(token)
        return sampler

    def cancel(self, sequence_id: int) -> None:
        for sequence in (*self._running, *self._waiting):
            if sequence.id == sequence_id:
                self._remove(sequence)

    def report(
        self,
        tokens: Ordered[TokenOutput] = (),
        failures: Ordered[SequenceFailed] = (),
        started: Ordered[SequenceStarted] = (),
    ) -> StepOutput:
        """The output of a step, empty by default, with the engine's load after it."""
        load = EngineLoad(
            running=len(self._running),
            waiting=len(self._waiting),
            kv_used=sum(sequence.computed for sequence in self._running),
            preemptions=self._preemptions,
            steps=self._steps,
            computed=self._computed,
            cached=self._cached,
            threads=self._context.threads,
        )
        return StepOutput(list(tokens), list(failures), list(started), load)

    def _slots(self) -> list[Slot]:
        idle = [
            Slot(
                number,
                kept.tokens,
                computed=len(kept.tokens),
                invariant=kept.invariant,
                used=kept.used,
                is_idle=True,
                cache_salt=kept.cache_salt,
            )
            for number, kept in self._idle.items()
        ]
        busy = [
            Slot(
                slot_of(s),
                s.tokens,
                computed=s.computed,
                invariant=s.invariant,
                used=self._steps,
                is_idle=False,
                cache_salt=s.cache_salt,
                reproducible=s.reproducible,
            )
            for s in self._running
        ]
        return sorted(idle + busy, key=lambda slot: slot.number)

    def _apply_placements(self, plan: StepPlan) -> list[SequenceStarted]:
        for sequence in plan.preempted:
            self._free_slot(sequence)
            self._enqueue(sequence)
        started = [self._start(placement) for placement in plan.placements]
        self._preemptions += len(plan.preempted)
        return [first for first in started if first]

    def _start(self, placement: Placement) -> SequenceStarted | None:
        """Moves a sequence from the queue into its slot. Returns SequenceStarted the first time."""
        sequence = placement.sequence
        if placement.source != placement.slot:
            self._context.copy(placement.source, placement.slot)
        self._context.forget(placement.slot, placement.cached)
        self._waiting.remove(sequence)
        self._running.append(sequence)
        del self._idle[placement.slot]
        sequence.slot, sequence.computed, sequence.invariant = placement.slot, placement.cached, placement.invariant
        if sequence.started:
            return None
        sequence.started = True
        self._cached += placement.cached
        return SequenceStarted(sequence.id, placement.cached)

    def _batches(self, plan: StepPlan) -> Iterator[Batch]:
        if plan.decoding:
            yield decode_batch(plan.decoding, self._context.sequences, self._used_cells, can_pad=self._limits.shares)
        yield from prefill_batches(plan.chunks)

    def _used_cells(self, slot: int) -> int:
        """The number of cells that the slot uses."""
        if slot in self._idle:
            return len(self._idle[slot].tokens)
        return next(sequence.computed for sequence in self._running if sequence.slot == slot)

    def _commit(self, batch: Batch) -> None:
        for slot, position in batch.padding:
            self._context.forget(slot, position)
        is_invariant = batch.is_invariant
        for chunk in batch.chunks:
            sequence, end = chunk.sequence, chunk.end
            if is_invariant and sequence.invariant == chunk.start:
                sequence.invariant = end
            sequence.computed = end
            self._computed += max(0, min(end, sequence.prompt_length) - chunk.start)

    def _advance(self, sequence: Sequence, row: NDArray[np.float32], work: WorkBudget) -> Iterator[TokenOutput]:
        """Yields the next token, and the tokens that a constraint forces after it, which are then computed together.
        With log-probabilities or a trace, each token has to be computed before the next. Yields nothing if `work`
        doesn't suffice: the sequence then skips steps without delaying the others.
        """
        token = sequence.sampler.sample(row, work)
        if token == UNDECIDED:
            sequence.undecided = row.copy()
            return
        sequence.undecided = None
        yield self._accept(sequence, token, row)
        if sequence.slot is not None and not sequence.reports_logits:
            for token in sequence.sampler.forced[: sequence.remaining]:
                yield self._accept(sequence, token, row)

    def _accept(self, sequence: Sequence, token: int, row: NDArray[np.float32]) -> TokenOutput:
        sampler = sequence.sampler
        trace = sampler.trace(token, row) if isinstance(sampler, TracedSampler) else None
        sampler.accept(token)
        sequence.tokens.append(token)
        ended = self._is_end(token)
        finish = "stop" if ended else finish_reason_of(sequence)
        if finish:
            self._remove(sequence)
        if sequence.logprobs is None or ended:
            return TokenOutput(sequence.id, token, finish, trace=trace)
        logprob, alternatives = logprobs(row, token, sequence.logprobs)
        return TokenOutput(sequence.id, token, finish, logprob, alternatives, trace)

    def _enqueue(self, sequence: Sequence) -> None:
        bisect.insort(self._waiting, sequence, key=lambda waiting: waiting.rank)

    def _remove(self, sequence: Sequence) -> None:
        if sequence.slot is None:
            self._waiting.remove(sequence)
        else:
            self._free_slot(sequence)

    def _free_slot(self, sequence: Sequence) -> None:
        """Frees the slot, but keeps the computed cells for later sequences with the same prefix."""
        slot = slot_of(sequence)
        self._running.remove(sequence)
        # One cell stays free for padding.
        kept = sequence.tokens[: min(sequence.computed, self._context.window - 1)]
        if not self._limits.shares:
            kept = []
        self._context.forget(slot, len(kept))
        self._idle[slot] = IdleSlot(
            kept, invariant=min(sequence.invariant, len(kept)), used=self._steps, cache_salt=sequence.cache_salt
        )
        sequence.slot, sequence.computed, sequence.invariant, sequence.undecided = None, 0, 0, None


def finish_reason_of(sequence: Sequence) -> Ending | None:
    """The finish of a sequence whose last token is text; None if it continues. A document that the budget closed ends
    with "length", like a truncated one.
    """
    constraint = sequence.sampler.constraint
    if constraint and constraint.is_complete:
        return "length" if constraint.is_closing else "complete"
    return "length" if sequence.is_full else None


def sequence_failure(sequence: Sequence, error: EngineFailed | SchemaRefused) -> SequenceFailed:
    return SequenceFailed(sequence.id, error.message, sequence.param if isinstance(error, SchemaRefused) else "")


def prefix_outputs(plan: StepPlan, started: Ordered[SequenceStarted]) -> Iterator[TokenOutput]:
    """The prefixes of the sequences that just started, which are no choice of the sampler."""
    ids = {first.sequence for first in started}
    for placement in plan.placements:
        if placement.sequence.id in ids:
            for token in placement.sequence.prefix:
                yield TokenOutput(placement.sequence.id, token, trace=TokenTrace("prefix"))


def slot_of(sequence: Sequence) -> int:
    assert sequence.slot is not None
    return sequence.slot
