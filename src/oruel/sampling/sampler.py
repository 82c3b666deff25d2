"""Turns the logits of one sequence into a token by a list of active steps, in the order of the contract:

1. constraint mask, logit_bias             mask.Mask, penalties.Bias
2. repetition_penalty                      penalties.Penalties
3. frequency_penalty, presence_penalty     penalties.Penalties
4. temperature                             filters.Softmax; none at 0 or top_k 1, which take the maximum
5. top_k                                   filters.TopK
6. top_p                                   filters.TopP
7. min_p                                   filters.MinP
8. the draw                                draw.draw

narrow.TopCandidates precedes steps 1 to 3 if only some of the largest logits matter after them. top_k precedes the
softmax: dividing by a temperature keeps the order, and then at most 200 exponentials have to be computed.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.errors import EngineFailed
from oruel.sampling.candidates import Candidates, SamplingStep, peak
from oruel.sampling.constraint import REFUSED, UNDECIDED, Constraint, WorkBudget
from oruel.sampling.draw import Uniforms, draw
from oruel.sampling.filters import MinP, Softmax, TopK, TopP
from oruel.sampling.mask import Mask
from oruel.sampling.narrow import LocalStep, TopCandidates
from oruel.sampling.penalties import Bias, Penalties
from oruel.types import SamplingParams


class ChangingStep(SamplingStep, LocalStep, Protocol):
    """One of steps 1 to 3."""


class Sampler:
    """Chooses the tokens of one sequence. After a preemption the sequence is computed again, but accepted tokens stay
    accepted. `choice` is the index of the sequence among the n of its request.
    """

    def __init__(
        self, params: SamplingParams, choice: int, vocabulary_size: int, constraint: Constraint | None = None
    ) -> None:
        assert all(0 <= token < vocabulary_size for token in params.logit_bias)
        self._uniforms = Uniforms(params.seed, choice)
        self._vocabulary_size = vocabulary_size
        self._position = 0
        self._undecided: int | None = None
        self._refused = 0
        self.constraint = constraint
        self._greedy = params.is_greedy
        self._penalties = Penalties(params) if Penalties.are_active(params) else None
        local: list[Bias | Penalties] = [
            *([Bias(params.logit_bias)] if params.logit_bias else []),
            *([self._penalties] if self._penalties else []),
        ]
        self.steps: tuple[SamplingStep, ...] = (
            *([Mask(constraint)] if constraint else []),
            *steps_after_mask(params, vocabulary_size, local),
        )

    def sample(self, logits: NDArray[np.float32], work: WorkBudget | None = None) -> int:
        """The token that follows the accepted ones. `logits` is a row of the vocabulary's size; it is not modified and
        may contain −inf. Raises EngineFailed if it contains NaN or +inf, or nothing finite.

        Returns UNDECIDED if the constraint needs more than `work`; callers then have to repeat the call.
        """
        if self.constraint is None:
            return self._choose(logits)
        while True:
            if self._undecided is None:
                if forced := self.forced:
                    return forced[0]
                self._undecided = self._choose(logits)
            enforced = self.constraint.enforce_limits(self._undecided, work)
            if enforced == UNDECIDED:
                return UNDECIDED
            self._undecided = None
            if enforced != REFUSED:
                return enforced
            self._refused += 1

    @property
    def forced(self) -> Sequence[int]:
        """The tokens that follow without a choice."""
        return self.constraint.forced if self.constraint else ()

    def _choose(self, logits: NDArray[np.float32]) -> int:
        return self._select(self.candidates(logits))

    def _select(self, candidates: Candidates) -> int:
        return select(candidates, None if self._greedy else self.uniform)

    @property
    def uniform(self) -> float:
        """The number in [0, 1) that draws the next token; another one after each token that the constraint refused."""
        return self._uniforms.at(self._position, self._refused)

    def candidates(self, logits: NDArray[np.float32]) -> Candidates:
        """The candidates that the steps leave. Same arguments and errors as `sample`."""
        assert logits.shape == (self._vocabulary_size,)
        return apply_steps(self.steps, logits)

    def accept(self, token: int) -> None:
        """Appends `token` to the output: the next draw is at the next position, and penalties count it."""
        self._position += 1
        self._refused = 0
        if self._penalties:
            self._penalties.accept(token)
        if self.constraint:
            self.constraint.accept(token)


def steps_after_mask(
    params: SamplingParams, vocabulary_size: int, local: Sequence[ChangingStep]
) -> Iterator[SamplingStep]:
    """`local` are steps 1 to 3 as far as they are active."""
    wanted = 1 if params.is_greedy else params.top_k
    if local and wanted:
        yield TopCandidates(wanted, local)
    yield from local
    if not params.is_greedy:
        yield from probability_steps(params, vocabulary_size)


def apply_steps(steps: Iterable[SamplingStep], logits: NDArray[np.float32]) -> Candidates:
    """The candidates that the steps leave of a row, which is not modified. Raises EngineFailed."""
    assert logits.dtype == np.float32
    check_logits(logits)
    candidates = Candidates(None, logits)
    with np.errstate(over="ignore"):
        for step in steps:
            candidates = step(candidates)
    return candidates


def select(candidates: Candidates, u: float | None) -> int:
    """The token that `u` draws; the one with the largest logit if it is None."""
    return candidates.id(int(candidates.values.argmax())) if u is None else draw(candidates, u)


def probability_steps(params: SamplingParams, vocabulary_size: int) -> list[SamplingStep]:
    """Steps 4 to 7 as far as they are active; the softmax always is."""
    top_k = [TopK(params.top_k)] if 0 < params.top_k < vocabulary_size else []
    top_p = [TopP(params.top_p)] if params.top_p < 1 else []
    min_p = [MinP(params.min_p)] if params.min_p > 0 else []
    # With min_p alone no sum over the vocabulary is needed, so the softmax may drop what min_p will drop.
    softmax = Softmax(params.temperature, min_p[0].least) if min_p and not top_p else Softmax(params.temperature)
    return [*top_k, softmax, *top_p, *min_p]


def check_logits(logits: NDArray[np.float32]) -> None:
    """A row without a finite maximum comes from a broken model: no token drawn from it would mean anything."""
    largest = peak(logits)
    if not math.isfinite(largest):
        raise EngineFailed(
            f"The model computed logits whose largest is {largest}, so no token can be chosen. The model file or its "
            "quantisation is probably broken; another deployment or another file may serve the request."
        )
