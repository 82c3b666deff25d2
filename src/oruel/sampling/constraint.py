"""What the sampler needs of a constraint (JSON mode, a schema, tool calls); oruel.constraints implements it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# The work of one search: counted in tokens that a matcher takes or refuses, 5 to 10 µs each.
MOST_WORK = 60_000
# In place of a token, when the work budget doesn't suffice to decide which token it is.
UNDECIDED = -1


class WorkBudget:
    """The work that may still be done in this step. `left` may become negative."""

    def __init__(self, left: int = MOST_WORK) -> None:
        self.left = left


class Constraint(Protocol):
    """Constrains one sequence. For each token, callers use `forced`, `mask` and `settle` in this order, as far as they
    need them, and then `accept`.
    """

    @property
    def forced(self) -> Sequence[int]:
        """The tokens that follow without a choice, if there are any."""

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next. At least one may.

        Raises SchemaRefused if the mask can't be computed.
        """

    def settle(self, token: int, work: WorkBudget | None = None) -> int:
        """The token to take after `token` was chosen: `token` itself, or the one that closes the document in time.
        UNDECIDED if `work` doesn't suffice; callers then have to repeat the same call first.
        """

    def accept(self, token: int) -> None:
        """Makes `token` part of the output."""

    @property
    def is_complete(self) -> bool:
        """Whether the output is complete, so that nothing may follow."""

    @property
    def is_closing(self) -> bool:
        """Whether the token budget, not the model, now determines the output."""
