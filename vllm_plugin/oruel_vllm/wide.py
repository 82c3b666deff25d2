"""Steps 2 to 8 for rows in which any token can be chosen: float64 over the whole vocabulary."""

import torch

from oruel_vllm.draw import below, draw
from oruel_vllm.row_tensors import RowTensors


def choose_among_all(rows: torch.Tensor, tensors: RowTensors, *, filters: bool) -> torch.Tensor:
    """The drawn tokens, shape (rows, 1). `filters`: whether any row has top_p or min_p; none has top_k.

    `rows`, shape (rows, width), float32: the last column, −∞, pads the changed tokens.
    """
    logits = rows.double()
    if tensors.changed is not None:
        logits.scatter_(1, tensors.changed, tensors.change(rows.gather(1, tensors.changed)))
    weights = logits.sub_(logits.amax(dim=1, keepdim=True)).div_(tensors.temperature).exp_()
    if filters:
        weights = torch.where(is_in_nucleus(weights, tensors) & (weights >= tensors.min_p), weights, 0.0)
    return draw(weights, tensors.u)


def is_in_nucleus(weights: torch.Tensor, tensors: RowTensors) -> torch.Tensor:
    """Step 6: whether each token belongs to the smallest set of most probable ones that exceeds top_p; ties to the
    lower id.
    """
    ordered, order = weights.sort(dim=1, descending=True, stable=True)
    sums = ordered.cumsum(dim=1)
    total = sums[:, -1:]
    size = (sums <= torch.minimum(tensors.top_p * total, below(total))).sum(dim=1, keepdim=True)
    ranks = torch.arange(weights.shape[1], device=weights.device)
    kept = (ranks <= size) | (tensors.top_p >= 1)
    return torch.zeros_like(kept).scatter_(1, order, kept)
