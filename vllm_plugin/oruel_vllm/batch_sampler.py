"""Chooses the next tokens of a step's rows with few launches: rows with the same plan are decided together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from oruel_vllm import masks, row_tensors
from oruel_vllm.decision import Decision, StepInputs, decide
from oruel_vllm.plan import WHOLE, Plan, plan_of
from oruel_vllm.row_step import RowStep
from oruel_vllm.sending import copy_rows, padded_width, send, send_indices, span
from oruel_vllm.step_graphs import StepGraphs

# The logits that are processed at once, in float64: 128 MiB.
LOGITS_AT_ONCE = 2**24


@dataclass(frozen=True)
class PlacedStep:
    """A step of the row `index` of the logits."""

    index: int
    step: RowStep


class BatchSampler:
    def __init__(self) -> None:
        self._graphs: StepGraphs | None = None

    def choose(self, logits: torch.Tensor, steps: Sequence[PlacedStep]) -> torch.Tensor:
        """The next token of each step's row, int64, on the logits' device; BROKEN if the largest logit of its row is
        not finite. `logits`, shape (rows, vocabulary), float32, is not modified. The next step overwrites the result.

        Waits for the device only if top_p or min_p can leave more candidates than are tried first.
        """
        parts = list(groups([placed.step for placed in steps], logits.shape[1]))
        if len(parts) == 1:
            return self._choose_group(parts[0][0], logits, steps)
        chosen = torch.empty(len(steps), dtype=torch.int64, device=logits.device)
        for plan, places in parts:
            group = [steps[place] for place in places]
            chosen[send_indices(places, logits.device)] = self._choose_group(plan, logits, group)
        return chosen

    def _choose_group(self, plan: Plan, logits: torch.Tensor, steps: Sequence[PlacedStep]) -> torch.Tensor:
        decision = self._decide(plan, logits, steps)
        if plan.filters and not plan.limited and plan != WHOLE:
            # Only these rows can need more candidates; asking waits for the device.
            enough = decision.is_enough.tolist()
            missing = [place for place in range(len(steps)) if not enough[place]]
            if missing:
                # The next decision overwrites the result of this one.
                tokens = decision.tokens.clone()
                again = self._decide(WHOLE, logits, [steps[place] for place in missing])
                tokens[send_indices(missing, logits.device)] = again.tokens
                return tokens
        return decision.tokens

    def _decide(self, plan: Plan, logits: torch.Tensor, steps: Sequence[PlacedStep]) -> Decision:
        indices = [placed.index for placed in steps]
        only_steps = [placed.step for placed in steps]
        if logits.device.type == "cuda":
            self._graphs = self._graphs or StepGraphs()
            return self._graphs.decide(plan, logits, indices, only_steps)
        return decide(plan, step_inputs(logits, indices, only_steps))


def step_inputs(logits: torch.Tensor, indices: Sequence[int], steps: Sequence[RowStep]) -> StepInputs:
    height, size = len(steps), logits.shape[1]
    rows = logits.new_full((height, padded_width(size)), -torch.inf)
    copy_rows(rows, logits, indices)
    parameters = np.zeros(row_tensors.packed_size(height, row_tensors.changed_width(steps)))
    row_tensors.pack(steps, height, parameters)
    allowed = None
    if masks.has_masks(steps):
        packed = np.empty(masks.packed_shape(height, size), np.uint8)
        masks.pack_masks(steps, packed)
        allowed = send(packed, logits.device)
    return StepInputs(rows, send(parameters, logits.device), allowed)


def groups(steps: Sequence[RowStep], vocabulary_size: int) -> Iterator[tuple[Plan, list[int]]]:
    """The places of steps that are processed alike, at most LOGITS_AT_ONCE of their logits at once."""
    most = max(1, LOGITS_AT_ONCE // vocabulary_size)
    plans: dict[Plan, list[int]] = {}
    for place, step in enumerate(steps):
        plans.setdefault(plan_of(step), []).append(place)
    for plan, places in plans.items():
        for start in range(0, len(places), most):
            yield plan, places[start : start + most]


def keep_only(logits: torch.Tensor, indices: Sequence[int], tokens: torch.Tensor) -> None:
    """Leaves only one finite logit in each row `indices`, that of its token, in place."""
    if (part := span(indices)) is not None:
        logits[part].fill_(-torch.inf).scatter_(1, tokens.unsqueeze(1), 0.0)
        return
    rows = send_indices(indices, logits.device)
    logits.index_fill_(0, rows, -torch.inf)
    logits[rows, tokens] = 0.0
