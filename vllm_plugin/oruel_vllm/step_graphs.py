"""Decisions on a GPU as CUDA graphs: one launch for each group of rows in place of a hundred, which would take longer
than what they launch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from oruel_vllm.decision import Decision, StepInputs, decide
from oruel_vllm.plan import Plan
from oruel_vllm.sending import fill_rows, padded_width

# Each takes a few hundred launches to make. The one that was used longest ago makes room for another.
MOST_GRAPHS = 96


@dataclass(frozen=True, slots=True)
class StepShape:
    """`height` rows of `size` logits."""

    plan: Plan
    height: int
    size: int
    parameters: int
    masks: int


class StepGraph:
    """One decision with inputs and outputs at fixed places. The next decision overwrites `is_enough`."""

    def __init__(self, plan: Plan, inputs: StepInputs, pool: tuple[int, int]) -> None:
        self.inputs = inputs
        # Once outside the graph, so that what torch sets up at the first use is not part of it.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            decide(plan, inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads of the process may use the GPU meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._decision = decide(plan, inputs)

    def decide(self, count: int) -> Decision:
        """For the first `count` rows."""
        self._graph.replay()
        return Decision(self._decision.tokens[:count].clone(), self._decision.is_enough[:count])


class StepGraphs:
    """Makes the graph of each shape when it is needed. Their memory is shared, since they run one after another."""

    def __init__(self) -> None:
        self._graphs: dict[StepShape, StepGraph] = {}
        self._rows: dict[tuple[int, int], torch.Tensor] = {}
        self._pool: tuple[int, int] = torch.cuda.graph_pool_handle()

    def decide(
        self,
        plan: Plan,
        logits: torch.Tensor,
        indices: Sequence[int],
        parameters: NDArray[np.float64],
        masks: NDArray[np.uint8] | None,
    ) -> Decision:
        """For the rows `indices` of the logits. The arrays may have more rows, which are ignored."""
        shape = StepShape(plan, len(parameters), logits.shape[1], parameters.shape[1], 0 if masks is None else 1)
        graph = self._graphs.pop(shape, None) or self._build(shape, logits, parameters, masks)
        self._graphs[shape] = graph
        fill_rows(graph.inputs.rows, logits, indices)
        graph.inputs.parameters.copy_(torch.from_numpy(parameters).pin_memory(), non_blocking=True)
        if graph.inputs.masks is not None and masks is not None:
            graph.inputs.masks.copy_(torch.from_numpy(masks).pin_memory(), non_blocking=True)
        return graph.decide(len(indices))

    def _build(
        self,
        shape: StepShape,
        logits: torch.Tensor,
        parameters: NDArray[np.float64],
        masks: NDArray[np.uint8] | None,
    ) -> StepGraph:
        if len(self._graphs) >= MOST_GRAPHS:
            self._graphs.pop(next(iter(self._graphs)))
        device = logits.device
        place = (shape.height, shape.size)
        if place not in self._rows:
            self._rows[place] = logits.new_zeros((shape.height, padded_width(shape.size)))
        inputs = StepInputs(
            self._rows[place],
            torch.from_numpy(parameters).to(device),
            None if masks is None else torch.from_numpy(masks).to(device),
        )
        return StepGraph(shape.plan, inputs, self._pool)
