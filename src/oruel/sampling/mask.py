"""Step 1 of the order, its first half: what a constraint rules out can't be chosen."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.completion import Work
from oruel.sampling.candidates import Candidates


class Constraint(Protocol):
    """What may come next in one sequence. Of `forced`, `mask` and `settle`, what is asked for a token comes in this
    order, and then `accept`.
    """

    @property
    def forced(self) -> Sequence[int]:
        """The tokens that follow without a choice, if there are such."""

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest of a byte first: whether it may come next. At least one may.

        Raises SchemaRefused where that can't be computed.
        """

    def settle(self, token: int, work: Work | None = None) -> int:
        """What is taken where `token` was chosen; UNDECIDED where so much work doesn't suffice to tell: nothing but the
        same is asked for then.
        """

    def accept(self, token: int) -> None:
        """Makes `token` part of the output."""

    @property
    def is_complete(self) -> bool:
        """Whether the output is whole, so that nothing follows."""

    @property
    def is_closing(self) -> bool:
        """Whether the end of the budget, not the model, chooses what follows."""


class Mask:
    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint

    def __call__(self, candidates: Candidates, /) -> Candidates:
        row = candidates.values
        allowed = np.unpackbits(self._constraint.mask(), count=len(row), bitorder="little").view(np.bool_)
        if 2 * np.count_nonzero(allowed) < len(row):
            left = candidates.at(np.flatnonzero(allowed))
        else:
            left = Candidates(None, np.where(allowed, row, row.dtype.type(-np.inf)))
        if left.values.max() > -np.inf:
            return left
        # The model rules out all that is allowed; something must follow.
        return Candidates(np.flatnonzero(allowed)[:1], np.zeros(1))
