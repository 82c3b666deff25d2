"""Step 1 of the order, first half: tokens that a constraint excludes can't be chosen."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from oruel_vllm.row_step import RowStep
from oruel_vllm.sending import padded_width

BITS = 8


def has_masks(steps: Sequence[RowStep]) -> bool:
    return any(step.mask is not None for step in steps)


def packed_shape(height: int, vocabulary_size: int) -> tuple[int, int]:
    return height, padded_width(vocabulary_size) // BITS


def pack_masks(steps: Sequence[RowStep], packed: NDArray[np.uint8]) -> None:
    """Fills `packed` with a bit for each token of each row, the lowest bit of a byte first. Rows without a mask, or
    without a step, allow all. Tokens after the end of a mask are excluded.
    """
    packed[len(steps) :] = 0xFF
    for row, step in zip(packed, steps, strict=False):
        if step.mask is None:
            row[:] = 0xFF
        else:
            row[: len(step.mask)] = step.mask[: len(row)]
            row[len(step.mask) :] = 0


def apply_masks(rows: torch.Tensor, packed: torch.Tensor) -> None:
    """Sets the logits of excluded tokens to −∞, in place. Shapes: (rows, width), (rows, width / BITS).

    If the model excludes everything that a mask allows, the lowest allowed token is the only one left.
    """
    shifts = torch.arange(BITS, dtype=torch.uint8, device=rows.device)
    allowed = ((packed.unsqueeze(-1) >> shifts) & 1).flatten(1)
    rows.masked_fill_(allowed == 0, -torch.inf)
    is_empty = rows.amax(dim=1, keepdim=True) == -torch.inf
    lowest = allowed.argmax(dim=1, keepdim=True)
    rows.scatter_(1, lowest, rows.gather(1, lowest).masked_fill(is_empty, 0.0))
