"""A row pays only for the steps of the order that its request makes active."""

from typing import Any

import pytest

from oruel.types import SamplingParams

pytest.importorskip("torch", reason="torch is not installed; make test-vllm runs this where it is")

from oruel_vllm.batch_sampler import groups
from oruel_vllm.plan import FEW_LEADING, FREE, GREEDY, UNLIMITED
from oruel_vllm.row_sampler import sampling_steps
from oruel_vllm.row_step import ChangedTokens, RowStep

SIZE = 2**15


def names(changed: ChangedTokens | None = None, **sampling: Any) -> list[str]:
    step = RowStep(SamplingParams(**sampling), 0.5, changed)
    return [type(one).__name__ for one in sampling_steps(step, SIZE)]


@pytest.mark.parametrize(
    ("sampling", "steps"),
    [
        ({"temperature": 0.7}, ["Softmax"]),
        ({"temperature": 0.0, "top_p": 0.5}, []),
        ({"top_k": 20}, ["TopK", "Softmax"]),
        ({"top_p": 0.9, "min_p": 0.1}, ["Softmax", "TopP", "MinP"]),
    ],
    ids=str,
)
def test_on_a_cpu_only_active_steps_run(sampling: dict[str, Any], steps: list[str]) -> None:
    assert names(**sampling) == steps


def test_on_a_cpu_penalties_run_once_tokens_are_known() -> None:
    changed = ChangedTokens({})
    changed.count(4)
    assert names(changed, top_k=5, presence_penalty=1.0)[:2] == ["TopCandidates", "LocalChanges"]


def test_on_a_gpu_rows_with_other_parameters_dont_make_a_row_pay() -> None:
    steps = [
        RowStep(SamplingParams(**sampling), 0.5)
        for sampling in ({}, {"top_k": 20}, {"temperature": 0.0}, {"top_p": 0.9}, {"temperature": 0.3})
    ]
    assert dict(groups(steps, SIZE)) == {FREE: [0, 4], FEW_LEADING: [1], GREEDY: [2], UNLIMITED: [3]}
