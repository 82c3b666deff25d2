"""The interface of constraints (JSON mode, a schema, tool calls) to the sampler; oruel.constraints implements it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# The limit of one search, in tokens that a matcher accepts or rejects, 5 to 10 µs each.
MAX_WORK = 60_000
# Returned in place of a token if the work budget doesn't suffice to decide.
UNDECIDED = -1
# Returned in place of a token after which no output can be valid. The mask of this position excludes it from then on.
REFUSED = -2


class WorkBudget:
    """The remaining work of this step. `left` may become negative."""

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left


class Constraint(Protocol):
    """Constrains one sequence. For each token, callers use `forced`, `mask` and `enforce_limits` as needed, in this
    order, and then `accept`.
    """

    @property
    def forced(self) -> Sequence[int]:
        """The tokens that must come next, if they are determined."""

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next. At least one may.

        Raises SchemaRefused if the mask can't be computed.
        """

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """Returns `token`, or the token that closes the document in its place if the budget requires that. Returns
        UNDECIDED if `work` doesn't suffice; callers must then repeat the call before any other. Returns REFUSED if
        another token has to be chosen; repeated for the same token, it returns one that may come instead.
        """

    def accept(self, token: int) -> None:
        """Makes `token` part of the output."""

    @property
    def is_complete(self) -> bool:
        """Whether the output is complete: no token may follow."""

    is_closing: bool
    """Whether the token budget, not the model, now determines the output. Set to resume an output that was closing."""
