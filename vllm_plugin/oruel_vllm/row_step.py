"""What the next token of one row depends on, apart from its logits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oruel.types import SamplingParams

# In place of the token of a row whose largest logit is not finite.
BROKEN = -1


class ChangedTokens:
    """The tokens whose logits steps 1 to 3 of the order change: those with a bias and those in the output. Columns of
    equal length: the tokens in no order, their biases, and their counts in the output. The columns grow by doubling.
    """

    def __init__(self, logit_bias: Mapping[int, float]) -> None:
        self._places = {token: place for place, token in enumerate(logit_bias)}
        self._columns = np.zeros((3, max(64, 2 * len(logit_bias))))
        self._columns[0, : len(logit_bias)] = list(logit_bias.keys())
        self._columns[1, : len(logit_bias)] = list(logit_bias.values())

    def __len__(self) -> int:
        return len(self._places)

    @property
    def columns(self) -> NDArray[np.float64]:
        """Shape (3, length): tokens, biases, counts. A token is exact as a float64."""
        return self._columns[:, : len(self)]

    def count(self, token: int) -> None:
        place = self._places.setdefault(token, len(self))
        if place == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        self._columns[0, place] = token
        self._columns[2, place] += 1


@dataclass(frozen=True, slots=True)
class RowStep:
    """`u`, in [0, 1), draws the token. `changed` is None if steps 1 to 3 change no logit. `mask` has a bit for each
    token, the lowest bit of a byte first; None allows every token.
    """

    params: SamplingParams
    u: float
    changed: ChangedTokens | None = None
    mask: NDArray[np.uint8] | None = None

    @property
    def filters(self) -> bool:
        """Whether steps 5 to 7 can leave out tokens."""
        return self.params.top_k > 0 or self.params.top_p < 1 or self.params.min_p > 0
