"""Step 1 of the order, first half: tokens that the constraint excludes can't be chosen."""

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import Candidates, Indices, peak
from oruel.sampling.constraint import Constraint

SPARSE = 4  # if fewer than one in SPARSE bytes is non-zero, few tokens are allowed
# The bits of each possible byte of a mask, and what they add to eight logits.
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
GATES = np.where(BITS, np.float32(0), np.float32(-np.inf))


class Mask:
    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint

    def __call__(self, candidates: Candidates, /) -> Candidates:
        return keep_allowed(candidates, self._constraint.mask())


def keep_allowed(candidates: Candidates, bits: NDArray[np.uint8]) -> Candidates:
    """The candidates, which are the whole vocabulary, without those that the mask excludes."""
    row = candidates.values
    if SPARSE * np.count_nonzero(bits) < len(bits):
        left = candidates.at(allowed_tokens(bits, len(row)))
    else:
        left = Candidates(None, row + GATES.take(bits, axis=0).ravel()[: len(row)])
    if peak(left.values) > -np.inf:
        return left
    # The model excludes everything that the constraint allows, but some token has to follow.
    return Candidates(allowed_tokens(bits, len(row))[:1], np.zeros(1))


def allowed_tokens(bits: NDArray[np.uint8], size: int) -> Indices:
    """The tokens of a mask, ascending."""
    tokens: Indices = np.unpackbits(bits, count=size, bitorder="little").view(np.bool_).nonzero()[0]
    return tokens
