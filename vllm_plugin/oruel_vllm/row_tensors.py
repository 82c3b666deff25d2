"""The parameters of several rows as tensors on the device of their logits, sent in one copy."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from oruel_vllm.row_step import RowStep

# A row without a step has these: temperature, top_k, top_p, min_p, the penalties, u, and how many tokens are changed.
INACTIVE = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
PARAMETERS = len(INACTIVE)


def changed_width(steps: Sequence[RowStep]) -> int:
    """The most tokens that steps 1 to 3 change in a row."""
    return max((len(step.changed) for step in steps if step.changed), default=0)


def packed_size(height: int, width: int) -> int:
    return height * (PARAMETERS + 3 * width)


def pack(steps: Sequence[RowStep], height: int, packed: NDArray[np.float64]) -> None:
    """Fills `packed`, of one dimension, with what RowTensors unpacks: the parameters of `height` rows, which may be
    more than there are steps, then the columns of the changed tokens of all rows, one row after another.
    """
    rows = packed[: height * PARAMETERS].reshape(height, PARAMETERS)
    rows[: len(steps)] = [parameters(step) for step in steps]
    rows[len(steps) :] = INACTIVE
    if columns := [step.changed.columns for step in steps if step.changed]:
        changed = packed[height * PARAMETERS :].reshape(3, -1)
        np.concatenate(columns, axis=1, out=changed[:, : sum(part.shape[1] for part in columns)])


class RowTensors:
    """Columns of shape (rows, 1), float64: `temperature`, `top_k` (0 is no limit), `top_p`, `min_p`, `repetition`,
    `frequency`, `presence`, `u`.

    `changed` are the tokens that steps 1 to 3 change, shape (rows, width), int64, padded with `padding`, the place of a
    logit that is −∞; None if no row has any. `biases` and `counts` belong to them.
    """

    def __init__(self, packed: torch.Tensor, height: int, padding: int) -> None:
        columns = packed[: height * PARAMETERS].view(height, PARAMETERS).split(1, dim=1)
        self.temperature, self.top_k, self.top_p, self.min_p = columns[:4]
        self.repetition, self.frequency, self.presence, self.u, lengths = columns[4:]
        self.changed: torch.Tensor | None = None
        room = len(packed) // height - PARAMETERS
        if width := room // 3:
            ranks = torch.arange(width, device=packed.device)
            places = (lengths.cumsum(dim=0) - lengths).long() + ranks
            changed = packed[height * PARAMETERS :].view(3, -1)[:, places.clamp_(max=height * width - 1)]
            self.changed = torch.where(ranks < lengths, changed[0], padding).long()
            self.biases, self.counts = changed[1], changed[2]

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
        len(step.changed) if step.changed else 0,
    ]
