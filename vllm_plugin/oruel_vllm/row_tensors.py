"""The parameters of several rows as tensors on the device of their logits, sent in one copy."""

import sys
from collections.abc import Sequence

import numpy as np
import torch

from oruel_vllm.row_step import RowStep

PARAMETERS = 8
SMALLEST_NORMAL = sys.float_info.min


class RowTensors:
    """Columns of shape (rows, 1), float64: `temperature`, `top_k` (0 is no limit), `top_p`, `min_p`, `repetition`,
    `frequency`, `presence`, `u`.

    `changed` are the tokens that steps 1 to 3 change, shape (rows, width), int64, padded with the vocabulary's size;
    None if no row has any. `biases` and `counts` belong to them.
    """

    def __init__(self, steps: Sequence[RowStep], vocabulary_size: int, device: torch.device) -> None:
        width = max((len(step.changed) for step in steps if step.changed), default=0)
        packed = np.zeros((len(steps), PARAMETERS + 3 * width))
        packed[:, PARAMETERS : PARAMETERS + width] = vocabulary_size
        for row, step in zip(packed, steps, strict=True):
            row[:PARAMETERS] = parameters(step)
            if step.changed:
                row[PARAMETERS:].reshape(3, width)[:, : len(step.changed)] = step.changed.columns
        sent = torch.from_numpy(packed).to(device, non_blocking=True)
        columns = sent[:, :PARAMETERS].split(1, dim=1)
        self.temperature, self.top_k, self.top_p, self.min_p = columns[:4]
        self.repetition, self.frequency, self.presence, self.u = columns[4:]
        self.changed: torch.Tensor | None = None
        if width:
            changed, self.biases, self.counts = sent[:, PARAMETERS:].split(width, dim=1)
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
        # A device may treat a smaller one as 0. Nothing but exact ties survives either.
        max(params.temperature, SMALLEST_NORMAL),
        params.top_k,
        params.top_p,
        params.min_p,
        params.repetition_penalty,
        params.frequency_penalty,
        params.presence_penalty,
        step.u,
    ]
