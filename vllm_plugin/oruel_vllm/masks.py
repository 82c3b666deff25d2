"""Step 1 of the order, first half: tokens that a constraint excludes can't be chosen."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

BITS = 8
Bitmap = NDArray[np.uint8]


def apply_masks(rows: torch.Tensor, masks: Sequence[Bitmap | None]) -> None:
    """Sets the logits of excluded tokens to −∞, in place. `rows` has a column for each token, and may have more. Tokens
    after the end of a mask are excluded.

    If the model excludes everything that a mask allows, the lowest allowed token is the only one left.
    """
    places = [place for place, mask in enumerate(masks) if mask is not None]
    if not places:
        return
    present = [mask for mask in masks if mask is not None]
    selected = torch.tensor(places, device=rows.device)
    lowest = torch.tensor([lowest_token(mask) for mask in present], device=rows.device).unsqueeze(1)
    masked = rows[selected].masked_fill_(~unpack(present, rows.shape[1], rows.device), -torch.inf)
    is_empty = masked.amax(dim=1, keepdim=True) == -torch.inf
    masked.scatter_(1, lowest, masked.gather(1, lowest).masked_fill(is_empty, 0.0))
    rows[selected] = masked


def unpack(masks: Sequence[Bitmap], width: int, device: torch.device) -> torch.Tensor:
    """Whether each token is allowed, shape (masks, width). The bitmaps are sent in one copy."""
    packed = np.zeros((len(masks), -(-width // BITS)), np.uint8)
    for row, mask in zip(packed, masks, strict=True):
        row[: len(mask)] = mask[: len(row)]
    sent = torch.from_numpy(packed).to(device, non_blocking=True)
    shifts = torch.arange(BITS, dtype=torch.uint8, device=device)
    bits = (sent.unsqueeze(-1) >> shifts) & 1
    return bits.flatten(1)[:, :width].bool()


def lowest_token(mask: Bitmap) -> int:
    byte = int(np.flatnonzero(mask)[0])
    bits = int(mask[byte])
    return BITS * byte + (bits & -bits).bit_length() - 1
