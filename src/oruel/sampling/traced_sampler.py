"""A sampler that explains its tokens."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import Candidates
from oruel.sampling.constraint import Constraint
from oruel.sampling.sampler import Sampler
from oruel.sampling.trace import Choice, trace
from oruel.types import SamplingParams, TokenSource, TokenTrace


class TracedSampler(Sampler):
    """Chooses the same tokens as a Sampler. `top`: how many leading candidates a trace reports."""

    def __init__(
        self, params: SamplingParams, choice: int, vocabulary_size: int, constraint: Constraint | None, top: int
    ) -> None:
        super().__init__(params, choice, vocabulary_size, constraint)
        self._params = params
        self._top = top
        self._counts: Counter[int] = Counter()
        self._left: Candidates | None = None
        self._allowed: NDArray[np.bool_] | None = None

    def _choose(self, logits: NDArray[np.float32]) -> int:
        self._left = self.candidates(logits)
        if self.constraint:
            bits = self.constraint.mask()
            self._allowed = np.unpackbits(bits, count=len(logits), bitorder="little").view(np.bool_)
        return self._select(self._left)

    def trace(self, token: int, logits: NDArray[np.float32]) -> TokenTrace:
        """How the next token was chosen. Must be called before `accept(token)`."""
        source = self._source()
        is_drawn = source == "drawn"
        choice = Choice(
            token=token,
            source=source,
            logits=logits,
            counts=self._counts,
            allowed=self._allowed if source in ("drawn", "greedy") else only(token, len(logits)),
            left=self._left if is_drawn else None,
            u=self.uniform if is_drawn else None,
        )
        return trace(choice, self._params, self._top)

    def _source(self) -> TokenSource:
        if self.constraint and self.constraint.is_closing:
            return "closing"
        if self._left is None:
            return "forced"
        return "greedy" if self._params.is_greedy else "drawn"

    def accept(self, token: int) -> None:
        super().accept(token)
        self._counts[token] += 1
        self._left = self._allowed = None


def only(token: int, size: int) -> NDArray[np.bool_]:
    allowed = np.zeros(size, np.bool_)
    allowed[token] = True
    return allowed
