"""The parameters of several rows as tensors on the device of their logits, sent in one copy."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from oruel_vllm.row_step import RowStep

# A row without a step has these: temperature, top_k, top_p, min_p, the penalties, u.
INACTIVE = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
PARAMETERS = len(INACTIVE)


def changed_width(steps: Sequence[RowStep]) -> int:
    """The most tokens that steps 1 to 3 change in a row."""
    return max((len(step.changed) for step in steps if step.changed), default=0)


def packed_shape(height: int, width: int) -> tuple[int, int]:
    return height, PARAMETERS + 3 * width


def pack(steps: Sequence[RowStep], packed: NDArray[np.float64], padding: int) -> None:
    """Fills `packed` with what RowTensors unpacks: its shape has room for at least these steps and for the changed
    tokens of each; those that are missing are at `padding`, and keep any finite bias and count.
    """
    packed[: len(steps), :PARAMETERS] = [parameters(step) for step in steps]
    packed[len(steps) :, :PARAMETERS] = INACTIVE
    if packed.shape[1] > PARAMETERS:
        changed = packed[:, PARAMETERS:].reshape(len(packed), 3, -1)
        changed[len(steps) :, 0] = padding
        for row, step in zip(changed, steps, strict=False):
            count = len(step.changed) if step.changed else 0
            row[0, count:] = padding
            if step.changed:
                row[:, :count] = step.changed.columns


class RowTensors:
    """Columns of shape (rows, 1), float64: `temperature`, `top_k` (0 is no limit), `top_p`, `min_p`, `repetition`,
    `frequency`, `presence`, `u`.

    `changed` are the tokens that steps 1 to 3 change, shape (rows, width), int64, padded with the place of a logit that
    is −∞; None if no row has any. `biases` and `counts` belong to them.
    """

    def __init__(self, packed: torch.Tensor) -> None:
        columns = packed[:, :PARAMETERS].split(1, dim=1)
        self.temperature, self.top_k, self.top_p, self.min_p = columns[:4]
        self.repetition, self.frequency, self.presence, self.u = columns[4:]
        self.changed: torch.Tensor | None = None
        if width := (packed.shape[1] - PARAMETERS) // 3:
            changed, self.biases, self.counts = packed[:, PARAMETERS:].split(width, dim=1)
            self.changed = changed.long()

    def change(self, logits: torch.Tensor) -> torch.Tensor:
        """Steps 1 to 3, but for the mask: the new logits of the changed tokens, given their old ones, as float64."""
        biased = logits.double() + self.biases
        scaled = torch.where(biased > 0, biased / self.repetition, biased * self.repetition)
        penalised = scaled - (self.frequency * self.counts + self.presence)
        return torch.where(self.counts > 0, penalised, biased)


def parameters(step: RowStep) -> list[float]:
    params = step.params
    return [
        params.temperature,
        params.top_k,
        params.top_p,
        params.min_p,
        params.repetition_penalty,
        params.frequency_penalty,
        params.presence_penalty,
        step.u,
    ]
