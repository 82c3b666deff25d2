"""The tokens that were refused at one position."""

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import REFUSED

# How many tokens are refused at one position before a known one takes their place.
MAX_REFUSED = 16


class Refusals:
    def __init__(self, tokens: TokenTable) -> None:
        self._tokens = tokens
        self._refused: list[int] = []
        self._known = -1

    def refuse(self, token: int, known: int) -> int:
        """REFUSED; `known` if the token was refused before, or many others were."""
        if token in self._refused or len(self._refused) == MAX_REFUSED:
            return known
        self._refused.append(token)
        self._known = known
        return REFUSED

    def mask(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask without the refused tokens; only the known token if they are all that it allows."""
        if not self._refused:
            return bits
        left = bits.copy()
        for token in self._refused:
            left[token >> 3] &= ~np.uint8(1 << (token & 7))
        return left if left.any() else self._tokens.only(self._known)

    def clear(self) -> None:
        self._refused.clear()
