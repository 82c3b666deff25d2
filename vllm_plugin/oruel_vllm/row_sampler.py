"""Chooses the next tokens on a CPU, row by row, with the steps of oruel.sampling, which skip most of a vocabulary."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from oruel.errors import EngineFailed
from oruel.sampling.candidates import Candidates, Indices, SamplingStep
from oruel.sampling.mask import keep_allowed
from oruel.sampling.penalties import float64_row, penalise
from oruel.sampling.sampler import apply_steps, select, steps_after_mask
from oruel.types import SamplingParams
from oruel_vllm.batch_sampler import PlacedStep
from oruel_vllm.row_step import BROKEN, ChangedTokens, RowStep


class RowSampler:
    """Does what BatchSampler does."""

    def choose(self, logits: torch.Tensor, steps: Sequence[PlacedStep]) -> torch.Tensor:
        rows: NDArray[np.float32] = logits.numpy()
        return torch.tensor([choose_token(rows[placed.index], placed.step) for placed in steps])


def choose_token(row: NDArray[np.float32], step: RowStep) -> int:
    try:
        candidates = apply_steps(sampling_steps(step, len(row)), row)
    except EngineFailed:
        return BROKEN
    return select(candidates, None if step.params.is_greedy else step.u)


def sampling_steps(step: RowStep, vocabulary_size: int) -> Iterator[SamplingStep]:
    if step.mask is not None:
        yield FixedMask(fit_mask(step.mask, vocabulary_size))
    local = [LocalChanges(step.changed, step.params)] if step.changed else []
    yield from steps_after_mask(step.params, vocabulary_size, local)


def fit_mask(bits: NDArray[np.uint8], vocabulary_size: int) -> NDArray[np.uint8]:
    """Excludes the tokens after the end of a mask: a model may have more logits than its tokenizer has tokens."""
    missing = -(-vocabulary_size // 8) - len(bits)
    return np.pad(bits, (0, missing)) if missing > 0 else bits


class FixedMask:
    """Step 1 of the order, first half."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits = bits

    def __call__(self, candidates: Candidates, /) -> Candidates:
        return keep_allowed(candidates, self._bits)


class LocalChanges:
    """Step 1, second half, to step 3: biases, and penalties on the tokens that the output contains."""

    def __init__(self, changed: ChangedTokens, params: SamplingParams) -> None:
        tokens, self._biases, self._counts = changed.columns
        self._params = params
        self.touched: Indices = tokens.astype(np.intp)

    def __call__(self, candidates: Candidates, /) -> Candidates:
        row = float64_row(candidates)
        places, found = candidates.places(self.touched)
        counts = self._counts[found]
        biased = row[places] + self._biases[found]
        row[places] = np.where(counts > 0, penalise(biased, counts, self._params), biased)
        return Candidates(candidates.ids, row)
