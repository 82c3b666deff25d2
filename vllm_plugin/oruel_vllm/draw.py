"""Step 8 of the order: the inverse of the cumulative distribution, for several rows."""

import torch

BLOCK = 256


def first_above(weights: torch.Tensor, mass: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The place at which the running sum of each row first exceeds `mass`, never one without weight; and the sum before
    it. If rounding leaves none, the last increase of the sum.

    `weights`: shape (rows, width), float64, not negative. `mass` and the results: shape (rows, 1).
    """
    sums = weights.cumsum(dim=1)
    # A parallel sum needn't be monotone in its last bits, so the sum at a place without weight doesn't count.
    increases = torch.where(weights > 0, sums, 0.0)
    mass = torch.minimum(mass, below(increases.amax(dim=1, keepdim=True)))
    place = (increases > mass).byte().argmax(dim=1, keepdim=True)
    return place, sums.gather(1, place) - weights.gather(1, place)


def below(values: torch.Tensor) -> torch.Tensor:
    """The next lower float64."""
    return torch.nextafter(values, torch.zeros_like(values))


def draw(weights: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """The place of the token that `u` selects. A width that is a multiple of BLOCK is summed in blocks first."""
    rows, width = weights.shape
    if width <= BLOCK or width % BLOCK:
        return first_above(weights, u * weights.sum(dim=1, keepdim=True))[0]
    blocks = weights.view(rows, -1, BLOCK)
    sums = blocks.sum(dim=2)
    mass = u * sums.sum(dim=1, keepdim=True)
    block, before = first_above(sums, mass)
    items = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, BLOCK)).squeeze(1)
    place, _ = first_above(items, mass - before)
    return block * BLOCK + place
