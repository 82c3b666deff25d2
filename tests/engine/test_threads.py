"""The number of threads adapts to the load of the machine, in a simulation of steps and of another process."""

import os
import random
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from oruel.engine.adaptive_context import AdaptiveContext
from oruel.engine.idle_cores import IdleCores
from oruel.engine.threads import ThreadController, shape_of, thread_counts
from tests.engine.fake_context import CountingContext

ONE_ROW = shape_of(1, 0)
# Milliseconds per step by rows and threads, measured on two idle cores: the demo model, and a 0.5B model's shape.
DEMO = {1: {1: 0.28, 2: 0.22}, 8: {1: 1.87, 2: 1.11}, 120: {1: 20.2, 2: 11.6}}
HALF_BILLION = {1: {1: 24.1, 2: 18.1}, 2: {1: 76.7, 2: 39.9}, 8: {1: 150.1, 2: 76.4}}
STALL_SECONDS = 0.09

Busy = Callable[[float], bool]


class Machine:
    """Two cores. While another process computes, two threads wait for each other: most steps take the usual time, and
    one in twenty stalls.
    """

    def __init__(self, costs: dict[int, dict[int, float]], seed: int = 1) -> None:
        self.costs = costs
        self.random = random.Random(seed)
        self.now = 0.0
        self.steps = {1: 0, 2: 0}

    def step(self, controller: ThreadController, rows: int, *, busy: bool) -> float:
        threads = controller.threads
        seconds = self.costs[rows][threads] / 1000 * self.random.uniform(0.95, 1.1)
        if busy and threads == 2 and self.random.random() < max(0.05, seconds / 0.05):
            seconds += STALL_SECONDS
        self.now += seconds
        self.steps[threads] += 1
        controller.record(shape_of(rows, 0), seconds, self.now)
        return seconds

    def run(self, controller: ThreadController, seconds: float, busy: Busy, rows: Sequence[int] = (1,)) -> float:
        """Returns steps per second."""
        end, start, count = self.now + seconds, self.now, 0
        while self.now < end:
            self.step(controller, rows[count % len(rows)], busy=busy(self.now))
            count += 1
        return count / (self.now - start)


def controller_of(costs: dict[int, dict[int, float]]) -> ThreadController:
    controller = ThreadController((1, 2))
    for threads in (1, 2):
        controller.record_measurement(threads, ONE_ROW, costs[1][threads] / 1000)
    controller.choose(ONE_ROW)
    return controller


def idle(_: float) -> bool:
    return False


def busy(_: float) -> bool:
    return True


@pytest.mark.parametrize("costs", [DEMO, HALF_BILLION], ids=["demo", "0.5B"])
@pytest.mark.parametrize("rows", [(1,), (1, 8)], ids=["one shape", "two shapes"])
def test_an_idle_machine_uses_all_threads(costs: dict[int, dict[int, float]], rows: tuple[int, ...]) -> None:
    machine, controller = Machine(costs), controller_of(costs)
    machine.run(controller, 60, idle, rows)
    assert machine.steps[1] < 0.01 * machine.steps[2]


@pytest.mark.parametrize("costs", [DEMO, HALF_BILLION], ids=["demo", "0.5B"])
def test_a_busy_machine_is_nearly_as_fast_as_with_one_thread(costs: dict[int, dict[int, float]]) -> None:
    machine, controller = Machine(costs), controller_of(costs)
    machine.run(controller, 5, idle)
    speed = machine.run(controller, 120, busy)
    assert speed > 0.9 * 1000 / costs[1][1]


def test_threads_drop_within_a_second_and_recover_within_a_minute() -> None:
    machine, controller = Machine(HALF_BILLION), controller_of(HALF_BILLION)
    machine.run(controller, 5, idle)
    assert controller.threads == 2
    machine.run(controller, 1, busy)
    assert controller.threads == 1
    machine.run(controller, 120, busy)
    machine.run(controller, 61, idle)
    assert controller.threads == 2
    before = machine.steps[1]
    machine.run(controller, 60, idle)
    assert machine.steps[1] == before


def test_more_threads_are_tried_only_while_cores_are_idle() -> None:
    free = [0.1]
    machine, controller = Machine(HALF_BILLION), ThreadController((1, 2), idle_cores=lambda: free[0])
    for threads in (1, 2):
        controller.record_measurement(threads, ONE_ROW, HALF_BILLION[1][threads] / 1000)
    machine.run(controller, 5, busy)
    before = machine.steps[2]
    machine.run(controller, 120, busy)
    assert machine.steps[2] == before
    free[0] = 0.6
    machine.run(controller, 3, idle)
    assert controller.threads == 2


def test_one_stalled_step_reduces_the_threads() -> None:
    controller = controller_of(HALF_BILLION)
    controller.record(ONE_ROW, 0.5, 10.0)
    assert controller.threads == 1


def test_a_busy_core_is_not_counted_as_idle() -> None:
    idle_cores = IdleCores()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        pass
    idle = idle_cores()
    assert idle is None or idle <= len(os.sched_getaffinity(0)) - 0.7
    assert idle_cores() is None, "too little time has passed"


def test_a_single_stall_reduces_the_threads_for_about_a_second() -> None:
    machine, controller = Machine(DEMO), controller_of(DEMO)
    machine.run(controller, 5, idle)
    controller.record(ONE_ROW, STALL_SECONDS, machine.now)
    slowest = 1000 / DEMO[1][1]
    assert machine.run(controller, 1.2, idle) > 0.95 * slowest
    assert controller.threads == 2


def test_a_growing_context_does_not_reduce_the_threads() -> None:
    controller, now = controller_of(HALF_BILLION), 0.0
    for position in range(8192):
        seconds = HALF_BILLION[1][2] / 1000 * (1 + position / 2048)
        now += seconds
        controller.record(shape_of(1, position), seconds, now)
        assert controller.threads == 2


def test_the_initial_count_is_the_smallest_of_the_fastest() -> None:
    controller = ThreadController((1, 2, 4, 8))
    for threads, seconds in ((1, 1.0), (2, 0.51), (4, 0.50), (8, 0.9)):
        controller.record_measurement(threads, ONE_ROW, seconds)
    controller.choose(ONE_ROW)
    assert controller.threads == 2


def test_the_thread_counts_include_all_cores_but_one() -> None:
    assert [thread_counts(cores) for cores in (1, 2, 3, 8)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 4, 7, 8)]


class Ticking(CountingContext):
    """Each step takes one tick per thread."""

    def __init__(self) -> None:
        super().__init__(strict=False)
        self.now = 0.0

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequence_ids: Sequence[int], outputs: Sequence[bool]
    ) -> NDArray[np.float32]:
        self.now += self.threads
        return super().decode(tokens, positions, sequence_ids, outputs)


def test_measuring_chooses_a_count_and_leaves_the_cells_empty() -> None:
    context = Ticking()
    context.threads = 4
    adaptive = AdaptiveContext(context, 4, clock=lambda: context.now)
    adaptive.measure(token=1)
    assert (adaptive.threads, context.cells) == (1, [[], [], [], []])
    assert adaptive.decode([1], [0], [0], [True]).argmax() == 2
