"""Small arrays and rows of logits on their way to where a step needs them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oruel_vllm.draw import BLOCK


def send(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """The array on the device. A GPU copies it from page-locked memory, so that nothing waits for the copy."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def send_indices(indices: Sequence[int], device: torch.device) -> torch.Tensor:
    return send(np.array(indices, np.int64), device)


def padded_width(size: int) -> int:
    """The next multiple of BLOCK above `size`, so that there is one column more at least."""
    return (size // BLOCK + 1) * BLOCK


def copy_rows(rows: torch.Tensor, logits: torch.Tensor, indices: Sequence[int]) -> None:
    """Copies the rows `indices` of the logits, shape (…, size), to the first of `rows`, shape (…, padded_width(size)).
    The padding stays as it is.
    """
    part = span(indices)
    source = logits[send_indices(indices, logits.device) if part is None else part]
    rows[: len(indices), : logits.shape[1]] = source


def span(indices: Sequence[int]) -> slice | None:
    """The slice that holds just these indices in this order; None if there is none."""
    first = indices[0]
    return slice(first, first + len(indices)) if list(indices) == list(range(first, first + len(indices))) else None
