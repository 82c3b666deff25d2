"""Step 8 of the order: a number that depends on (seed, choice, position) alone, and the token it falls on."""

import numpy as np

from oruel.sampling.candidates import Candidates, first_above

MASK = 2**64 - 1
MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
WEYL_INCREMENTS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
ROUNDS = 10

BLOCK = 256


def uniform(seed: int, choice: int, position: int) -> float:
    """A float64 in [0, 1): the top 53 bits of the first word of Philox4x64-10 at counter `position`, under the
    key (seed mod 2**64, choice). Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    key0, key1 = seed & MASK, choice
    word0, word1, word2, word3 = position, 0, 0, 0
    for _ in range(ROUNDS):
        product0, product2 = word0 * MULTIPLIERS[0], word2 * MULTIPLIERS[1]
        word0, word1 = product2 >> 64 ^ word1 ^ key0, product2 & MASK
        word2, word3 = product0 >> 64 ^ word3 ^ key1, product0 & MASK
        key0, key1 = key0 + WEYL_INCREMENTS[0] & MASK, key1 + WEYL_INCREMENTS[1] & MASK
    return (word0 >> 11) * 2.0**-53


def draw(candidates: Candidates, u: float) -> int:
    """The token at which the cumulative distribution, in order of id, first exceeds `u`, in [0, 1).

    Sums blocks first and then one block's items, since a running sum over a whole row is many times slower.
    """
    weights = candidates.values
    sums = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK), dtype=np.float64)
    cumulative = np.cumsum(sums)
    mass = u * float(cumulative[-1])
    block = first_above(cumulative, mass)
    before = float(cumulative[block - 1]) if block else 0.0
    items = np.cumsum(weights[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64)
    return candidates.id(block * BLOCK + first_above(items, mass - before))
