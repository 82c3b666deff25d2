"""The order of the contract for many rows at once, in torch, on the device of the logits.

1. constraint mask                         masks.apply_masks
   logit_bias                              row_tensors.RowTensors.change
2. repetition_penalty                      row_tensors.RowTensors.change
3. frequency_penalty, presence_penalty     row_tensors.RowTensors.change
4. temperature                             narrow, wide
5. top_k                                   narrow
6. top_p                                   narrow; wide if the leading candidates don't suffice
7. min_p                                   narrow; wide if the leading candidates don't suffice
8. the draw                                draw.draw

Chooses what oruel.sampling.Sampler chooses for each row by itself.
"""

from dataclasses import dataclass

import torch

from oruel_vllm.masks import apply_masks
from oruel_vllm.narrow import choose_among_leading, choose_greedily
from oruel_vllm.plan import Plan
from oruel_vllm.row_step import BROKEN
from oruel_vllm.row_tensors import RowTensors
from oruel_vllm.wide import choose_among_all


@dataclass(frozen=True, slots=True)
class StepInputs:
    """What a decision is made from, on the device. `rows`: the logits, shape (rows, width), float32, with one column of
    −∞ at least at the end; a decision changes them. `parameters`: row_tensors.pack. `masks`: masks.pack_masks.
    """

    rows: torch.Tensor
    parameters: torch.Tensor
    masks: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Decision:
    """`tokens`, shape (rows,), int64: BROKEN if the largest logit of the row is not finite. `is_enough`, shape (rows,):
    whether the plan's candidates sufficed; other rows need the plan WHOLE.
    """

    tokens: torch.Tensor
    is_enough: torch.Tensor


def decide(plan: Plan, inputs: StepInputs) -> Decision:
    """Never waits for the device, and asks it for nothing: the same launches for all inputs of the same shapes."""
    rows = inputs.rows
    is_broken = ~rows.amax(dim=1).isfinite()
    if inputs.masks is not None:
        apply_masks(rows, inputs.masks)
    tensors = RowTensors(inputs.parameters, len(rows), rows.shape[1] - 1)
    is_enough = torch.ones_like(tensors.u, dtype=torch.bool)
    if plan.leading == 0:
        tokens = choose_among_all(rows, tensors, filters=plan.filters)
    elif plan.leading == 1:
        tokens = choose_greedily(rows, tensors)
    else:
        tokens, is_enough = choose_among_leading(rows, tensors, plan.leading, limited=plan.limited)
    return Decision(torch.where(is_broken, BROKEN, tokens.squeeze(1)), is_enough.squeeze(1) | is_broken)
