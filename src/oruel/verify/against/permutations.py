"""Monte Carlo p-values of permutation tests."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Permutations that reach the statistic, after which the p-value is known well enough, and permutations in all.
EXCEEDANCES, MOST, AT_ONCE = 10, 20_000, 250


def permutation_p_value(observed: float, draw: Callable[[int], Values]) -> float:
    """`draw` returns the statistic of so many random permutations. Draws until EXCEEDANCES of them reach the observed
    value, so a test that finds nothing is short (Besag and Clifford, "Sequential Monte Carlo p-values", Biometrika 78,
    1991). The p-value is exact: no larger than chance allows, for any number of draws.
    """
    reached = done = 0
    while done < MOST:
        exceeds = draw(AT_ONCE) >= observed - 1e-9
        if reached + np.count_nonzero(exceeds) >= EXCEEDANCES:
            last = int(np.flatnonzero(exceeds)[EXCEEDANCES - reached - 1])
            return EXCEEDANCES / (done + last + 1)
        reached, done = reached + int(np.count_nonzero(exceeds)), done + AT_ONCE
    return (reached + 1) / (done + 1)
