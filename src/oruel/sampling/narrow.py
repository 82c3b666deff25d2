"""Ahead of steps that change few logits: the tokens that can be among the largest after them, so that the steps and
the search need not go over the whole vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from oruel.sampling.candidates import Candidates, Indices, block_maxima, reaching, smallest_of_largest

WORTH_NARROWING = 2**14  # values in a row


class LocalStep(Protocol):
    """A step that leaves the logits of all but the `touched` tokens alone."""

    @property
    def touched(self) -> Indices: ...


class TopCandidates:
    """Keeps a few hundred candidates that hold the `count` largest, ties included, as the steps `before` that choice
    will have made them.

    Blocks without touched tokens vouch for it: the `count`th largest of their maxima is reached by so many values that
    stay what they are, so what lies below it and isn't touched can't be among the largest.
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
        ids = ascending(np.concatenate([reaching(row, maxima, bound), touched]))
        return Candidates(ids, row[ids].astype(np.float64))


def ascending(ids: Indices) -> Indices:
    """In order, each once; there is at least one."""
    ordered = np.sort(ids)
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    distinct: Indices = ordered[is_first]
    return distinct
