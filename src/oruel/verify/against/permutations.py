"""Monte Carlo p-values of permutation tests."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# So many permutations that reach the statistic tell the p-value well enough.
EXCEEDANCES, AT_ONCE = 10, 250


def permutation_p_value(observed: float, draw: Callable[[int], Values], level: float) -> float:
    """`draw` returns the statistic of so many random permutations. Draws 2 / level of them, or fewer if EXCEEDANCES
    reach the observed value before, so a test that finds nothing is short (Besag and Clifford, "Sequential Monte Carlo
    p-values", Biometrika 78, 1991). The p-value is exact: no larger than chance allows, for any number of draws.
    """
    reached = done = 0
    while done < 2 / level:
        exceeds = draw(AT_ONCE) >= observed - 1e-9
        found = np.flatnonzero(exceeds)
        if reached + len(found) >= EXCEEDANCES:
            return EXCEEDANCES / (done + int(found[EXCEEDANCES - reached - 1]) + 1)
        reached, done = reached + len(found), done + AT_ONCE
    return (reached + 1) / (done + 1)
