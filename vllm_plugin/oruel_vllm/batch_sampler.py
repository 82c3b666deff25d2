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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from oruel_vllm.masks import apply_masks
from oruel_vllm.narrow import choose_among_leading, choose_greedily
from oruel_vllm.row_step import BROKEN, RowStep
from oruel_vllm.row_tensors import RowTensors
from oruel_vllm.wide import choose_among_all

# How many candidates are tried first if top_p or min_p leaves out tokens and top_k doesn't.
FIRST_TRY = 256
# The logits that are processed at once, in float64: 128 MiB.
LOGITS_AT_ONCE = 2**24


@dataclass(frozen=True)
class PlacedStep:
    """A step of the row `index` of the logits."""

    index: int
    step: RowStep


def choose(logits: torch.Tensor, steps: Sequence[PlacedStep]) -> torch.Tensor:
    """The next token of each step's row, int64, on the logits' device; BROKEN if the largest logit of its row is not
    finite. `logits`, shape (rows, vocabulary), float32, is not modified.
    """
    chosen = torch.empty(len(steps), dtype=torch.int64, device=logits.device)
    for places in groups([placed.step for placed in steps], logits.shape[1]):
        group = [steps[place] for place in places]
        chosen[torch.tensor(places, device=logits.device)] = choose_group(logits, group)
    return chosen


def groups(steps: Sequence[RowStep], vocabulary_size: int) -> Iterator[list[int]]:
    """The places of steps that are processed alike, at most LOGITS_AT_ONCE of their logits at once."""
    most = max(1, LOGITS_AT_ONCE // vocabulary_size)
    kinds: dict[int, list[int]] = {}
    for place, step in enumerate(steps):
        kinds.setdefault(leading_count(step), []).append(place)
    for places in kinds.values():
        for start in range(0, len(places), most):
            yield places[start : start + most]


def leading_count(step: RowStep) -> int:
    """How many leading candidates can be chosen: 1 for greedy rows, 0 for all of them."""
    if step.params.is_greedy:
        return 1
    return FIRST_TRY if step.filters else 0


def choose_group(logits: torch.Tensor, steps: Sequence[PlacedStep]) -> torch.Tensor:
    device, size = logits.device, logits.shape[1]
    rows = logits.new_full((len(steps), size + 1), -torch.inf)
    # Adding 0 turns −0.0 into 0.0.
    rows[:, :size] = logits[torch.tensor([placed.index for placed in steps], device=device)] + 0.0
    is_broken = ~rows.amax(dim=1).isfinite()
    apply_masks(rows, [placed.step.mask for placed in steps])
    tokens = choose_rows(rows, [placed.step for placed in steps])
    return torch.where(is_broken, BROKEN, tokens.squeeze(1))


def choose_rows(rows: torch.Tensor, steps: Sequence[RowStep]) -> torch.Tensor:
    """Shape (rows, 1)."""
    tensors = RowTensors(steps, rows.shape[1] - 1, rows.device)
    count = leading_count(steps[0])
    if count == 0:
        return choose_among_all(rows, tensors, filters=False)
    if count == 1:
        return choose_greedily(rows, tensors)
    unlimited = [place for place, step in enumerate(steps) if not step.params.top_k]
    tokens, is_enough = choose_among_leading(rows, tensors, count, limited=not unlimited)
    # Only these rows can need more candidates; asking waits for the device.
    if unlimited:
        enough = is_enough.flatten().tolist()
        missing = [place for place in unlimited if not enough[place]]
        if missing:
            again = RowTensors([steps[place] for place in missing], rows.shape[1] - 1, rows.device)
            selected = torch.tensor(missing, device=rows.device)
            tokens[selected] = choose_among_all(rows[selected], again, filters=True)
    return tokens


def keep_only(logits: torch.Tensor, indices: Sequence[int], tokens: torch.Tensor) -> None:
    """Leaves only one finite logit in each row `indices`, that of its token, in place."""
    rows = torch.tensor(indices, device=logits.device)
    logits.index_fill_(0, rows, -torch.inf)
    logits[rows, tokens] = 0.0
