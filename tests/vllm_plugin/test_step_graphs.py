"""On a GPU, decisions are CUDA graphs that share their memory."""

import numpy as np
import pytest

from oruel.types import SamplingParams
from tests.sampling.paths import needs_cuda, needs_torch

pytestmark = [needs_torch, needs_cuda]

SIZE = 5_000
# Nucleus sampling, for which the leading candidates suffice only if the row is peaked.
NUCLEUS = SamplingParams(temperature=1.0, top_p=0.9)


def random_rows(
    generator: np.random.Generator, flat: int, peaked: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = generator.normal(0, 0.1, (flat + peaked, SIZE))
    rows[flat:, :20] += 20
    return generator.permutation(rows).astype(np.float32)


@pytest.mark.parametrize("turns", [[(8, 0), (8, 8), (8, 0), (4, 12)], [(1, 0), (1, 1), (1, 7), (3, 61), (1, 1)]])
def test_rows_that_need_all_candidates_leave_the_tokens_of_the_others_alone(turns: list[tuple[int, int]]) -> None:
    """A graph made later has its result where an earlier one computes."""
    import torch
    from oruel_vllm.batch_sampler import BatchSampler, PlacedStep
    from oruel_vllm.row_step import RowStep

    generator, sampler = np.random.default_rng(11), BatchSampler()
    for flat, peaked in turns:
        rows = random_rows(generator, flat, peaked)
        steps = [PlacedStep(index, RowStep(NUCLEUS, float(generator.random()))) for index in range(len(rows))]
        chosen = sampler.choose(torch.from_numpy(rows).to("cuda"), steps).tolist()
        alone = [BatchSampler().choose(torch.from_numpy(rows), [placed]).item() for placed in steps]
        assert chosen == alone
