"""Steps 1 to 3 of the order: changes the logits of a few tokens, in float64."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import Candidates, Indices
from oruel.types import SamplingParams


def float64_row(candidates: Candidates) -> NDArray[np.float64]:
    """The logits as float64, to be modified. A float32 row is the model's, so it is copied; a float64 row is a copy
    already.
    """
    return candidates.values.astype(np.float64, copy=False)


class Bias:
    """Step 1: adds `logit_bias` to the logits. −inf stays −inf."""

    def __init__(self, logit_bias: Mapping[int, float]) -> None:
        self._ids = np.fromiter(logit_bias.keys(), np.intp, len(logit_bias))
        self._biases = np.fromiter(logit_bias.values(), np.float64, len(logit_bias))

    @property
    def touched(self) -> Indices:
        return self._ids

    def __call__(self, candidates: Candidates, /) -> Candidates:
        row = float64_row(candidates)
        places, found = candidates.places(self._ids)
        row[places] += self._biases[found]
        return Candidates(candidates.ids, row)


class Penalties:
    """Steps 2 and 3: repetition, frequency and presence penalties over the accepted tokens.

    The prompt is never counted. −inf stays −inf, because every factor is positive and every term finite.
    """

    def __init__(self, params: SamplingParams) -> None:
        self._params = params
        self._places: dict[int, int] = {}
        self._ids = np.zeros(64, np.intp)
        self._counts = np.zeros(64, np.float64)

    @staticmethod
    def are_active(params: SamplingParams) -> bool:
        return params.repetition_penalty != 1 or params.frequency_penalty != 0 or params.presence_penalty != 0

    def accept(self, token: int) -> None:
        """Counts a generated token. The arrays grow by doubling, so that no step has to rebuild them."""
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._ids[place] = token
        self._counts[place] += 1

    @property
    def touched(self) -> Indices:
        return self._ids[: len(self._places)]

    def __call__(self, candidates: Candidates, /) -> Candidates:
        if not self._places:
            return candidates
        row = float64_row(candidates)
        places, found = candidates.places(self.touched)
        row[places] = penalise(row[places], self._counts[: len(self._places)][found], self._params)
        return Candidates(candidates.ids, row)


def penalise(logits: NDArray[np.float64], counts: NDArray[np.float64], params: SamplingParams) -> NDArray[np.float64]:
    """The logits of tokens that the output contains `counts` times, none of which is 0."""
    repetition = params.repetition_penalty
    scaled = np.where(logits > 0, logits / repetition, logits * repetition)
    return scaled - (params.frequency_penalty * counts + params.presence_penalty)
