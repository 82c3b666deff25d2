"""Decisions on a GPU as CUDA graphs: one launch for each group of rows in place of a hundred, which would take longer
than what they launch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from oruel_vllm import masks, row_tensors
from oruel_vllm.decision import Decision, StepInputs, decide
from oruel_vllm.plan import Plan
from oruel_vllm.row_step import RowStep
from oruel_vllm.sending import copy_rows, padded_width
from oruel_vllm.staging import Staging

# Each takes a few hundred launches to make. The one that was used longest ago makes room for another.
MOST_GRAPHS = 96


@dataclass(frozen=True, slots=True)
class StepShape:
    """What a graph is made for: `height` rows of `size` logits, with up to `width` changed tokens each."""

    plan: Plan
    height: int
    size: int
    width: int
    has_masks: bool


class StepGraph:
    """One decision with inputs and outputs at fixed places. Their memory is shared: the next decision, of whatever
    graph, overwrites the result.
    """

    def __init__(self, shape: StepShape, rows: torch.Tensor, pool: tuple[int, int]) -> None:
        parameters = row_tensors.packed_size(shape.height, shape.width)
        self._inputs = StepInputs(
            rows,
            torch.zeros(parameters, dtype=torch.float64, device=rows.device),
            torch.zeros(masks.packed_shape(shape.height, shape.size), dtype=torch.uint8, device=rows.device)
            if shape.has_masks
            else None,
        )
        self._parameters = Staging(self._inputs.parameters)
        self._masks = None if self._inputs.masks is None else Staging(self._inputs.masks)
        # Once outside the graph, so that what torch sets up at the first use is not part of it.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            decide(shape.plan, self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads of the process may use the GPU meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._decision = decide(shape.plan, self._inputs)

    def decide(self, logits: torch.Tensor, indices: Sequence[int], steps: Sequence[RowStep]) -> Decision:
        row_tensors.pack(steps, len(self._inputs.rows), self._parameters.array())
        self._parameters.send()
        if self._masks is not None:
            masks.pack_masks(steps, self._masks.array())
            self._masks.send()
        copy_rows(self._inputs.rows, logits, indices)
        self._graph.replay()
        return Decision(self._decision.tokens[: len(steps)], self._decision.is_enough[: len(steps)])


class StepGraphs:
    """Makes the graph of each shape when it is needed. Their memory is shared, since they run one after another."""

    def __init__(self) -> None:
        self._graphs: dict[StepShape, StepGraph] = {}
        self._rows: dict[tuple[int, int], torch.Tensor] = {}
        self._pool: tuple[int, int] = torch.cuda.graph_pool_handle()

    def decide(self, plan: Plan, logits: torch.Tensor, indices: Sequence[int], steps: Sequence[RowStep]) -> Decision:
        """For the rows `indices` of the logits. The next decision overwrites the result."""
        shape = StepShape(
            plan,
            graph_height(len(steps)),
            logits.shape[1],
            graph_width(row_tensors.changed_width(steps)),
            masks.has_masks(steps),
        )
        graph = self._graphs.pop(shape, None) or self._build(shape, logits)
        self._graphs[shape] = graph
        return graph.decide(logits, indices, steps)

    def _build(self, shape: StepShape, logits: torch.Tensor) -> StepGraph:
        if len(self._graphs) >= MOST_GRAPHS:
            self._graphs.pop(next(iter(self._graphs)))
        place = (shape.height, shape.size)
        if place not in self._rows:
            # A decision never makes the padding finite.
            self._rows[place] = logits.new_full((shape.height, padded_width(shape.size)), -torch.inf)
        return StepGraph(shape, self._rows[place], self._pool)


def graph_height(rows: int) -> int:
    """Rows are added to few, so that fewer graphs are made: to a power of two, above 8 to a multiple of 8."""
    return power_of_two(rows) if rows <= 8 else -(-rows // 8) * 8


def graph_width(changed: int) -> int:
    return max(64, power_of_two(changed)) if changed else 0


def power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
