"""Combines two optimisers: Muon for the matrices inside the blocks, AdamW for the embedding and the norms.

Muon's updates take up to a fifth of a step, so each member of the team computes a share of them.
"""

from collections import defaultdict

import torch
from torch import Tensor

from training.model import Llama
from training.team import Team

MATRIX_RATE, OTHER_RATE = 0.02, 2e-3
MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic of Jordan et al., "Muon", 2024


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Replaces the singular values of `matrices`, [count, rows, columns], with values near 1."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon:
    """Momentum with orthogonalised updates. Matrices of the same shape are updated together."""

    def __init__(self, matrices: list[Tensor], team: Team) -> None:
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for matrix in matrices:
            alike[matrix.shape].append(matrix)
        self.groups, self.team = list(alike.values()), team
        self.momenta = [torch.zeros_like(torch.stack(group)) for group in self.groups]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for group, momentum in zip(self.groups, self.momenta, strict=True):
            gradient = torch.stack([matrix.grad for matrix in group])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            ahead = gradient.lerp(momentum, MOMENTUM)
            updates = torch.zeros_like(ahead)
            share = slice(self.team.rank, None, self.team.size)
            updates[share] = orthogonalise(ahead[share])
            self.team.add([updates])
            rows, columns = updates.shape[1:]
            for matrix, update in zip(group, updates, strict=True):
                matrix.add_(update, alpha=-rate * max(1.0, rows / columns) ** 0.5)


class Optimiser:
    """Updates all parameters of a model. `scale`, from 0 to 1, multiplies both learning rates."""

    def __init__(self, model: Llama, team: Team) -> None:
        matrices = [parameter for parameter in model.blocks.parameters() if parameter.ndim == 2]
        inside = {id(matrix) for matrix in matrices}
        others = [parameter for parameter in model.parameters() if id(parameter) not in inside]
        self.model = model
        self.muon = Muon(matrices, team)
        self.adam = torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, scale: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.adam.param_groups[0]["params"], 1.0)
        self.muon.step(MATRIX_RATE * scale)
        for group in self.adam.param_groups:
            group["lr"] = OTHER_RATE * scale
        self.adam.step()
        self.model.zero_grad(set_to_none=True)

    def state(self) -> dict[str, object]:
        return {"momenta": self.muon.momenta, "adam": self.adam.state_dict()}

    def load(self, state: dict) -> None:
        self.muon.momenta = state["momenta"]
        self.adam.load_state_dict(state["adam"])
