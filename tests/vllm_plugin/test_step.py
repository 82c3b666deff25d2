"""One step leaves one finite logit in each of Oru'el's rows and does not touch the others."""

from typing import Any

import numpy as np
import pytest

from oruel.sampling import Sampler
from oruel.types import SamplingParams
from tests.vllm_plugin.rows import MARK, SIZE, row_request

torch = pytest.importorskip("torch", reason="torch is not installed; make test-vllm runs this where it is")

from oruel_vllm.batch_sampler import BatchSampler  # noqa: E402
from oruel_vllm.row import SampledRow, ScriptedRow  # noqa: E402
from oruel_vllm.step import PlacedRow, choose_tokens  # noqa: E402

SETTINGS: list[dict[str, Any]] = [
    {"temperature": 0.7},
    {"temperature": 0.0, "repetition_penalty": 1.3},
    {"top_k": 20, "top_p": 0.9, "frequency_penalty": 0.4},
    {"min_p": 0.05, "logit_bias": {3: 2.0}},
]


def test_sequences_in_a_batch_are_those_of_the_sampler_for_one_row() -> None:
    generator = np.random.default_rng(3)
    rows = [SampledRow(row_request(seed=seed, **SETTINGS[seed % 4])) for seed in range(12)]
    samplers = [Sampler(SamplingParams(seed=seed, **SETTINGS[seed % 4]), 0, SIZE) for seed in range(12)]
    for position in range(15):
        logits = generator.normal(0, 2, (14, SIZE)).astype(np.float32)
        batch = torch.from_numpy(logits.copy())
        script = PlacedRow(13, ScriptedRow([7] * 20), position)
        choose_tokens(
            BatchSampler(), batch, [*(PlacedRow(index, row, position) for index, row in enumerate(rows)), script]
        )
        expected = [sampler.sample(row) for sampler, row in zip(samplers, logits, strict=False)]
        assert batch[:12].argmax(1).tolist() == expected
        assert (batch > -np.inf).sum(1).tolist() == [1] * 12 + [SIZE, 1]
        assert batch[13].argmax() == 7
        assert np.array_equal(batch[12].numpy(), logits[12]), "the row of another client"
        for sampler, token in zip(samplers, expected, strict=True):
            sampler.accept(token)


def test_a_row_with_broken_logits_gets_a_mark_and_the_others_their_tokens() -> None:
    logits = np.random.default_rng(1).normal(size=(3, SIZE)).astype(np.float32)
    expected = Sampler(SamplingParams(), 0, SIZE).sample(logits[0])
    logits[1, 4] = np.nan
    logits[2] = -np.inf
    batch = torch.from_numpy(logits)
    rows = [SampledRow(row_request()) for _ in range(3)]
    choose_tokens(BatchSampler(), batch, [PlacedRow(index, row, 0) for index, row in enumerate(rows)])
    assert batch.argmax(1).tolist() == [expected, MARK, MARK]
    assert rows[1].next(1) == MARK
