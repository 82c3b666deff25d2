"""A row with a constraint, which prepares its next step on another thread while the model computes."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.tokens import panics_refused
from oruel.engine.vllm.wire import CLOSED_MARKS, COMPLETE_MARKS, FAILED_MARKS, Failure, FailureKind, RowRequest
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import REFUSED, UNDECIDED, Constraint, WorkBudget
from oruel_vllm.constraint_threads import ConstraintThreads
from oruel_vllm.row import SampledRow
from oruel_vllm.row_step import BROKEN, RowStep

# How often the work of one search may be spent on one token before its row fails: a second or two.
MOST_SEARCHES = 4
IMPATIENT_MESSAGE = "it takes too long to enforce: make it simpler"
BUG_MESSAGE = "The constraint can't be enforced, because of a fault in the plugin. vLLM's log has the details."

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """What a constraint says about the next token: that it is `forced`, or the `mask` of the allowed ones; or that the
    output is complete, in so many `marks`.
    """

    forced: int | None = None
    mask: NDArray[np.uint8] | None = None
    marks: int = 0


class ConstrainedRow(SampledRow):
    constrained = True

    def __init__(self, request: RowRequest, output: Sequence[int], threads: ConstraintThreads) -> None:
        self._threads = threads
        self._constraint: Constraint | None = None
        self._prepared: Future[PreparedStep] = Future()
        self._ahead = False
        self._refusals = 0
        self._known_ending: int | None = None
        self._closing_from = threads.closings.find(request, output)
        super().__init__(request, output)

    def _restart(self, output: Sequence[int]) -> None:
        super()._restart(output)
        self._ahead = False
        if self._closing_from is not None and self._closing_from >= len(output):
            self._closing_from = None
        # A preempted row may have a part of its ending already: the mark is in no document.
        self._known_ending = self._output.index(self.mark) if self.mark in self._output else None
        output, closing_from = self._output[: self._known_ending], self._closing_from

        def resume(constraint: Constraint) -> PreparedStep:
            replay(constraint, output, closing_from, self._request.end_tokens)
            self._constraint = constraint
            return prepare(constraint)

        self._prepared = self._threads.start(self._request, resume)

    def _step(self, position: int) -> RowStep | int:
        if self._ahead and position == len(self._output):
            # vLLM discarded the token, but enforcing the limits and accepting it have changed the constraint.
            self._restart(self._output)
        if position >= self._request.max_tokens and (ends := self._request.end_tokens):
            return self._after_budget(ends[0], position)
        prepared = self._wait(position)
        if prepared is None or prepared.marks:
            return self._begin_ending(position, prepared)
        if prepared.forced is not None:
            return prepared.forced
        self._refusals = 0
        return self._drawn_step(position, prepared.mask)

    def _after_budget(self, end: int, position: int) -> int:
        """The tokens after max_tokens only say whether the output is complete."""
        prepared = self._wait(position)
        return self._begin_ending(position, prepared) if prepared is None or prepared.marks else end

    def _begin_ending(self, position: int, prepared: PreparedStep | None) -> int:
        """The token at `position`. None if the row has failed."""
        if prepared:
            self._end(self._ending_begins(position), prepared.marks)
        assert self._ending
        return self._ending.next(position - self._ending_start)

    def _ending_begins(self, position: int) -> int:
        return position if self._known_ending is None else self._known_ending

    def _wait(self, position: int) -> PreparedStep | None:
        """None if the row has failed."""
        prepared = self._attempt(position, lambda: self._prepared.result(self._threads.patience))
        if prepared and not prepared.marks and self._known_ending is not None:
            # It took too long before vLLM preempted the row, and doesn't now.
            self._fail(position, FailureKind.CONSTRAINT, IMPATIENT_MESSAGE)
            return None
        return prepared

    def _attempt(self, position: int, work: Callable[[], Result]) -> Result | None:
        """None if the row has failed: nothing that one row does may harm the others."""
        try:
            return work()
        except SchemaRefused as error:
            self._fail(position, FailureKind.CONSTRAINT, error.message)
        except TimeoutError:
            self._fail(position, FailureKind.CONSTRAINT, IMPATIENT_MESSAGE)
        except Exception:
            log.exception("a constraint could not be computed")
            self._fail(position, FailureKind.ENGINE, BUG_MESSAGE)
        return None

    def _fail(self, position: int, kind: FailureKind, message: str) -> None:
        self._end(self._ending_begins(position), FAILED_MARKS, Failure(kind, message))

    def enforce(self, token: int) -> int | RowStep:
        constraint, position = self._constraint, len(self._output)
        assert constraint
        enforced = self._attempt(position, lambda: enforce_limits(constraint, token))
        if enforced == REFUSED:
            mask = self._attempt(position, lambda: mask_of(constraint))
            self._refusals += 1
            return self.mark if mask is None else self._drawn_step(position, mask, self._refusals)
        # The ending begins with the mark.
        return self.mark if enforced is None else enforced

    def chose(self, token: Callable[[], int]) -> None:
        """Prepares the step after the token, before it is known whether vLLM keeps it."""
        chosen = token()
        super().chose(lambda: chosen)
        if self._ending or self._constraint is None or chosen == BROKEN:
            return
        constraint, self._ahead = self._constraint, True
        if constraint.is_closing and self._closing_from is None:
            self._closing_from = len(self._output)
            self._threads.closings.add(self._request, self._output)

        def proceed() -> PreparedStep:
            accept(constraint, chosen, self._request.end_tokens)
            return prepare(constraint)

        if chosen not in self._request.end_tokens:
            self._prepared = self._threads.submit(proceed)

    def _accept(self, token: int) -> None:
        super()._accept(token)
        self._ahead = False

    def close(self) -> None:
        self._threads.release(self._request)


@panics_refused()
def replay(constraint: Constraint, output: Sequence[int], closing_from: int | None, ends: Sequence[int]) -> None:
    """Brings a new constraint to the end of `output`, from whose position `closing_from` on the budget determined it.
    The limits are enforced again at each token, because a constraint updates its known completion when they are.
    """
    for position, token in enumerate(output):
        constraint.is_closing = constraint.is_closing or position == closing_from
        if not constraint.is_closing and not constraint.forced:
            enforce_limits(constraint, token)
        accept(constraint, token, ends)


@panics_refused()
def enforce_limits(constraint: Constraint, token: int) -> int:
    """With far more work than usual, since vLLM can't skip a row's step. Counted in work and not in time, so that every
    rank decides alike. Raises SchemaRefused.
    """
    for _ in range(MOST_SEARCHES):
        enforced = constraint.enforce_limits(token, WorkBudget())
        if enforced != UNDECIDED:
            return enforced
    raise SchemaRefused(IMPATIENT_MESSAGE)


@panics_refused()
def mask_of(constraint: Constraint) -> NDArray[np.uint8]:
    """Raises SchemaRefused."""
    return constraint.mask()


@panics_refused()
def accept(constraint: Constraint, token: int, ends: Sequence[int]) -> None:
    """Nothing follows an end token, so it changes nothing."""
    if token not in ends:
        constraint.accept(token)


@panics_refused()
def prepare(constraint: Constraint) -> PreparedStep:
    """Raises SchemaRefused."""
    if constraint.is_complete:
        return PreparedStep(marks=CLOSED_MARKS if constraint.is_closing else COMPLETE_MARKS)
    if forced := constraint.forced:
        return PreparedStep(forced=forced[0])
    return PreparedStep(mask=constraint.mask())
