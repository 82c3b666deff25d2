"""Known ends of strings, indexed by their first tokens."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


class StringEnds:
    """Each hint is tokens, and how many of them precede or are the quote that ends the string. From each of these on,
    the tokens may end a string.
    """

    def __init__(self, hints: Iterable[tuple[Sequence[int], int]]) -> None:
        self._starts = [(hint, start) for hint, end in hints for start in range(end)]
        self._first = np.array([hint[start] for hint, start in self._starts], np.intp)

    def allowed(self, mask: NDArray[np.uint8]) -> Iterator[Sequence[int]]:
        """Those whose first token a mask allows, in the order of the hints."""
        for at in np.flatnonzero((mask[self._first >> 3] >> (self._first & 7)) & 1):
            hint, start = self._starts[at]
            yield hint[start:]


NO_HINTS = StringEnds(())
