"""A document, or calls in its place. The first token that only one of them allows decides."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.calls.constraint import CallsConstraint
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.sampling.constraint import WorkBudget

Document = JsonObjectConstraint | GrammarConstraint
Calls = GrammarConstraint | CallsConstraint


class DocumentOrCalls:
    """Constrains one sequence. While both are possible, enough of the budget is kept for the document."""

    def __init__(
        self, document: JsonObjectConstraint | GrammarConstraint, calls: GrammarConstraint | CallsConstraint
    ) -> None:
        self._document = document
        self._left: list[Document | Calls] = [document, calls]
        self._undecided: int | None = None

    @property
    def is_complete(self) -> bool:
        return all(constraint.is_complete for constraint in self._left)

    @property
    def is_closing(self) -> bool:
        return self._document in self._left and self._document.is_closing

    @is_closing.setter
    def is_closing(self, value: bool) -> None:
        self._document.is_closing = value

    @property
    def forced(self) -> Sequence[int]:
        if self.is_closing or len(self._left) == 1:
            return self._left[0].forced
        one, other = (list(constraint.forced) for constraint in self._left)
        return one if one == other else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether either constraint allows it."""
        masks = [constraint.mask() for constraint in self._left]
        return masks[0] | masks[-1]

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """The document's decision if the token may belong to the document, otherwise that of the calls. Returns
        UNDECIDED as they do.
        """
        first = self._left[0]
        # While a document is undecided, no other method of it may be called.
        if len(self._left) > 1 and self._undecided != token and not first.allows(token):
            return self._left[1].enforce_limits(token, work)
        self._undecided = token
        return first.enforce_limits(token, work)

    def accept(self, token: int) -> None:
        """`token` comes from `enforce_limits` or `forced`."""
        self._undecided = None
        if self.is_closing:
            self._left = [self._document]
        elif len(self._left) > 1:
            self._left = [constraint for constraint in self._left if constraint.allows(token)] or self._left
        for constraint in self._left:
            constraint.accept(token)
