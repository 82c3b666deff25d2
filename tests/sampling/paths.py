"""The implementations of the order: for one row in NumPy, and the plugin's for all rows of a step. The same tests hold
all to the slow reference. Without torch, the tests of the plugin's are skipped.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from oruel.errors import EngineFailed
from oruel.sampling import Sampler
from oruel.sampling.constraint import Constraint
from oruel.sampling.draw import Uniforms
from oruel.types import SamplingParams

Row = NDArray[np.float32]


class RowSampler(Protocol):
    """Chooses the tokens of one sequence, as oruel.sampling.Sampler does."""

    def sample(self, logits: Row) -> int: ...

    def accept(self, token: int) -> None: ...


Built = TypeVar("Built", bound=RowSampler)
BuildSampler = Callable[..., RowSampler]
"""Called like oruel.sampling.Sampler."""


class TorchSampler:
    """One sequence among others in a batch, whose rows have other parameters and logits. `sampler` names one of the
    plugin's.
    """

    device = "cpu"
    sampler = "BatchSampler"

    def __init__(
        self, params: SamplingParams, choice: int, vocabulary_size: int, constraint: Constraint | None = None
    ) -> None:
        from oruel_vllm.row_step import ChangedTokens

        self._params, self._uniforms, self._constraint = params, Uniforms(params.seed, choice), constraint
        self._position = 0
        self._changed = ChangedTokens(params.logit_bias)
        self._others = [
            SamplingParams(temperature=0.0),
            SamplingParams(),
            SamplingParams(top_k=min(3, vocabulary_size), top_p=0.5),
            SamplingParams(min_p=0.3, top_p=0.99, presence_penalty=1.0, logit_bias={0: 1.0}),
        ]

    def sample(self, logits: Row) -> int:
        return self.sample_many(logits, [self._uniforms.at(self._position)])[0]

    def sample_many(self, logits: Row, uniforms: list[float]) -> list[int]:
        """What each of the uniform numbers would draw."""
        import torch
        from oruel_vllm.batch_sampler import PlacedStep, keep_only
        from oruel_vllm.row_step import BROKEN, ChangedTokens, RowStep

        mask = self._constraint.mask() if self._constraint else None
        changed = self._changed if len(self._changed) else None
        steps = [RowStep(self._params, u, changed, mask) for u in uniforms]
        others = [RowStep(params, 0.4, ChangedTokens(params.logit_bias)) for params in self._others]
        rows = np.stack([*[logits[::-1]] * len(others), *[logits] * len(steps), logits])
        batch = torch.from_numpy(rows.copy()).to(self.device)
        placed = [PlacedStep(index, step) for index, step in enumerate([*others, *steps])]
        chosen = plugin_sampler(self.sampler).choose(batch, placed)
        assert np.array_equal(batch.cpu().numpy(), rows, equal_nan=True), "the logits are not modified"
        tokens: list[int] = chosen.tolist()[len(others) :]
        if BROKEN in tokens:
            raise EngineFailed("no token can be chosen")
        keep_only(batch, range(len(placed)), chosen)
        assert batch[:-1].argmax(1).tolist() == chosen.tolist()
        assert (batch[:-1] > -np.inf).sum(1).tolist() == [1] * len(placed), "only the chosen token is finite"
        assert np.array_equal(batch[-1].cpu().numpy(), logits), "other rows are not touched"
        return tokens

    def accept(self, token: int) -> None:
        self._position += 1
        self._changed.count(token)


class CudaSampler(TorchSampler):
    device = "cuda"


class PluginRowSampler(TorchSampler):
    sampler = "RowSampler"


@cache
def plugin_sampler(name: str) -> Any:
    """One for all tests, as one serves all steps of a server."""
    from oruel_vllm.batch_sampler import BatchSampler
    from oruel_vllm.row_sampler import RowSampler

    return {"BatchSampler": BatchSampler, "RowSampler": RowSampler}[name]()


def after(sampler: Built, output: Sequence[int]) -> Built:
    for token in output:
        sampler.accept(token)
    return sampler


def tokens_of_seeds(
    build: BuildSampler, logits: Row, params: SamplingParams, seeds: range, output: Sequence[int] = ()
) -> list[int]:
    """What each seed draws after `output`; in torch, all in one batch."""
    samplers = [build(replace(params, seed=seed), 0, len(logits)) for seed in seeds]
    if not isinstance(samplers[0], TorchSampler):
        return [after(sampler, output).sample(logits) for sampler in samplers]
    uniforms = [Uniforms(seed, 0).at(len(output)) for seed in seeds]
    return after(samplers[0], output).sample_many(logits, uniforms)


def has_cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed; make test-vllm runs this where it is"
)
needs_cuda = pytest.mark.skipif(not has_cuda(), reason="torch finds no GPU")
every_path = pytest.mark.parametrize(
    "build",
    [
        Sampler,
        pytest.param(TorchSampler, marks=needs_torch),
        pytest.param(PluginRowSampler, marks=needs_torch),
        pytest.param(CudaSampler, marks=needs_cuda),
    ],
)
