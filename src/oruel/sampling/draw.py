"""Step 8 of the order: a uniform number that depends only on (seed, choice, position), and the token it selects."""

import numpy as np

from oruel.sampling.candidates import Candidates, first_above

MASK64, MASK256 = 2**64 - 1, 2**256 - 1
WORDS = 4  # per value of the counter

BLOCK = 256


class Uniforms:
    """A float64 in [0, 1) for each position: the top 53 bits of the first word of Philox4x64-10 at counter `position`,
    with the key (seed mod 2**64, choice). Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    A draw that is repeated because its token was refused has the counter `position` + 2**64 × the number of refusals.

    They are generated in blocks, since setting up NumPy's generator costs as much as generating dozens of them.
    """

    AHEAD = 64

    def __init__(self, seed: int, choice: int) -> None:
        self._key = [seed & MASK64, choice]
        self._first = 0
        self._uniforms: list[float] = []

    def at(self, position: int, repetition: int = 0) -> float:
        """`position` is not negative."""
        if repetition:
            return self._generate(position + (repetition << 64), 1)[0]
        if not 0 <= position - self._first < len(self._uniforms):
            self._first = position
            self._uniforms = self._generate(position, self.AHEAD)
        return self._uniforms[position - self._first]

    def _generate(self, first: int, count: int) -> list[float]:
        # NumPy increments the counter before it generates a block.
        generator = np.random.Philox(key=np.array(self._key, np.uint64), counter=(first - 1) & MASK256)
        words = generator.random_raw(WORDS * count)[::WORDS]
        uniforms: list[float] = ((words >> np.uint64(11)) * 2.0**-53).tolist()
        return uniforms


def draw(candidates: Candidates, u: float) -> int:
    """The token at which the cumulative distribution, in order of id, first exceeds `u`, in [0, 1).

    Sums blocks first and then the items of one block, since a running sum over a whole row is many times slower.
    """
    weights = candidates.values
    if len(weights) <= BLOCK:
        cumulative = np.add.accumulate(weights, dtype=np.float64)
        return candidates.id(first_above(cumulative, u * cumulative[-1]))
    sums = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK), dtype=np.float64)
    cumulative = sums.cumsum()
    mass = u * float(cumulative[-1])
    block = first_above(cumulative, mass)
    before = float(cumulative[block - 1]) if block else 0.0
    items = weights[block * BLOCK : (block + 1) * BLOCK].cumsum(dtype=np.float64)
    return candidates.id(block * BLOCK + first_above(items, mass - before))
