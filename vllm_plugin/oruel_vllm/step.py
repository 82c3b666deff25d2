"""One step: chooses the next tokens of Oru'el's rows and leaves only them finite."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from oruel_vllm.batch_sampler import BatchSampler, PlacedStep, keep_only
from oruel_vllm.chosen_tokens import ChosenTokens
from oruel_vllm.row import Row
from oruel_vllm.row_sampler import RowSampler
from oruel_vllm.row_step import BROKEN, RowStep
from oruel_vllm.sending import send_indices


class TokenSampler(Protocol):
    def choose(self, logits: torch.Tensor, steps: Sequence[PlacedStep]) -> torch.Tensor:
        """The next token of each step's row, int64, on the logits' device; BROKEN if the largest logit of its row is
        not finite. `logits`, shape (rows, vocabulary), float32, is not modified. The next step overwrites the result.
        """


def sampler_for(device: torch.device) -> TokenSampler:
    """The one that is faster for logits on the device. Both choose the same tokens."""
    return RowSampler() if device.type == "cpu" else BatchSampler()


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """The row `index` of the logits belongs to `row`, whose next token is at `position` of its output."""

    index: int
    row: Row
    position: int


def choose_tokens(sampler: TokenSampler, logits: torch.Tensor, rows: Sequence[PlacedRow]) -> None:
    """Changes the logits, float32, shape (rows, vocabulary), of the given rows in place. Waits for the device only if
    one of them has a constraint, or if top_p or min_p leave more than a few hundred candidates.
    """
    steps: list[PlacedStep] = []
    sampled: list[PlacedRow] = []
    forced: list[tuple[PlacedRow, int]] = []
    for placed in rows:
        step = placed.row.next(placed.position)
        if isinstance(step, RowStep):
            steps.append(PlacedStep(placed.index, step))
            sampled.append(placed)
        else:
            forced.append((placed, step))
    if forced:
        emit_forced(logits, forced)
    if sampled:
        emit_sampled(sampler, logits, sampled, steps)


def emit_forced(logits: torch.Tensor, forced: Sequence[tuple[PlacedRow, int]]) -> None:
    tokens = send_indices([token for _, token in forced], logits.device)
    keep_only(logits, [placed.index for placed, _ in forced], tokens)
    for placed, token in forced:
        placed.row.chose(partial(int, token))


def emit_sampled(
    sampler: TokenSampler, logits: torch.Tensor, sampled: Sequence[PlacedRow], steps: Sequence[PlacedStep]
) -> None:
    chosen = sampler.choose(logits, steps)
    if any(placed.row.constrained for placed in sampled):
        chosen = send_indices(enforce(sampler, logits, sampled, chosen.tolist()), logits.device)
    marks = send_indices([placed.row.mark for placed in sampled], logits.device)
    keep_only(logits, [placed.index for placed in sampled], torch.where(chosen == BROKEN, marks, chosen))
    copied = ChosenTokens(chosen)
    for place, placed in enumerate(sampled):
        placed.row.chose(partial(copied.token, place))


def enforce(sampler: TokenSampler, logits: torch.Tensor, sampled: Sequence[PlacedRow], values: list[int]) -> list[int]:
    """The tokens after each constrained row has enforced its limits. Refused ones are chosen again."""
    waiting = [place for place, placed in enumerate(sampled) if placed.row.constrained]
    while waiting:
        again: list[PlacedStep] = []
        refused: list[int] = []
        for place in waiting:
            if values[place] == BROKEN:
                continue
            enforced = sampled[place].row.enforce(values[place])
            if isinstance(enforced, RowStep):
                again.append(PlacedStep(sampled[place].index, enforced))
                refused.append(place)
            else:
                values[place] = enforced
        if again:
            for place, token in zip(refused, sampler.choose(logits, again).tolist(), strict=True):
                values[place] = token
        waiting = refused
    return values
