"""Reduces a row to the tokens that can be among the largest after steps that change only a few logits, so that these
steps and the search don't process the whole vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from oruel.sampling.candidates import Candidates, Indices, block_maxima, indices_reaching, smallest_of_largest

WORTH_NARROWING = 2**14  # the least length of a row for which it pays


class LocalStep(Protocol):
    """A step that changes only the logits of the `touched` tokens."""

    @property
    def touched(self) -> Indices: ...


class TopCandidates:
    """Keeps a few hundred candidates, among which are the `count` largest, ties included, after the steps `before`.

    The bound comes from blocks without touched tokens: the `count`th largest of their maxima is reached by at least
    `count` values that won't change, so untouched values below it can't be among the largest.
    """

    def __init__(self, count: int, before: Sequence[LocalStep]) -> None:
        self._count = count
        self._before = before

    def __call__(self, candidates: Candidates, /) -> Candidates:
        row = candidates.values
        if candidates.ids is not None or len(row) < WORTH_NARROWING:
            return candidates
        touched = np.concatenate([step.touched for step in self._before])
        maxima = block_maxima(row)
        untouched = maxima.copy()
        untouched[touched % len(maxima)] = -np.inf
        bound = smallest_of_largest(untouched, self._count)
        if bound == -np.inf:
            return candidates
        ids = sort_unique(np.concatenate([indices_reaching(row, maxima, bound), touched]))
        return Candidates(ids, row[ids].astype(np.float64))


def sort_unique(ids: Indices) -> Indices:
    """Sorted, without duplicates. There is at least one id."""
    ordered = np.sort(ids)
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    distinct: Indices = ordered[is_first]
    return distinct
