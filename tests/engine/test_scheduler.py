"""The scheduler alone: random workloads, no model, no clock."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.engine.scheduler import Limits, Plan, cells, schedule
from oruel.engine.sequence import Sequence
from oruel.sampling.sampler import Sampler
from oruel.types import SamplingParams

LIMITS = Limits(pool=64, slots=4, step_tokens=16, prefill_tokens=4)


def sequence(number: int, prompt: int, *, output: int = 0, computed: int = 0, max_tokens: int = 8) -> Sequence:
    sampler = Sampler(SamplingParams(temperature=0), 0, 10)
    return Sequence(number, [1] * prompt, max_tokens, sampler, output=[2] * output, computed=computed)


def counts(plan: Plan) -> dict[int, int]:
    return {chunk.sequence.id: chunk.count for chunk in plan.chunks}


def test_a_prompt_alone_is_prefilled_in_pieces_of_the_step_budget() -> None:
    plan = schedule([sequence(0, 40)], [], LIMITS)
    assert counts(plan) == {0: 16}
    assert not plan.chunks[0].yields


def test_a_long_prompt_does_not_stall_who_is_decoding() -> None:
    decoding = sequence(0, 5, output=1, computed=5)
    plan = schedule([sequence(1, 20)], [decoding], LIMITS)
    assert counts(plan) == {0: 1, 1: 4}
    assert plan.chunks[0].yields


def test_the_last_piece_of_a_prompt_yields_a_token() -> None:
    plan = schedule([], [sequence(0, 20, computed=16)], LIMITS)
    assert plan.chunks[0].count == 4
    assert plan.chunks[0].yields


def test_requests_wait_while_every_slot_is_taken() -> None:
    running = [sequence(number, 4, output=1, computed=4) for number in range(4)]
    assert schedule([sequence(4, 2)], running, LIMITS).admitted == ()


def test_nobody_overtakes_the_first_who_waits() -> None:
    running = [sequence(0, 30, output=1, computed=30)]
    too_large, small = sequence(1, 30), sequence(2, 1)
    assert schedule([too_large, small], running, LIMITS).admitted == ()


def test_a_sequence_as_large_as_the_cache_runs_alone() -> None:
    large = sequence(0, 63, max_tokens=1)
    assert schedule([large], [], LIMITS).admitted == (large,)


def test_the_youngest_is_preempted_when_the_cache_is_full() -> None:
    old, young = sequence(0, 30, output=3, computed=32), sequence(1, 30, output=2, computed=31)
    plan = schedule([], [old, young], LIMITS)
    assert plan.preempted == (young,)
    assert counts(plan) == {0: 1}


@dataclass
class World:
    """A plain model of the engine around the scheduler: it applies plans and ends sequences at their length."""

    limits: Limits
    waiting: deque[Sequence] = field(default_factory=deque)
    running: list[Sequence] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    steps: int = 0

    def step(self) -> None:
        plan = schedule(tuple(self.waiting), self.running, self.limits)
        self.check(plan)
        for preempted in reversed(plan.preempted):
            self.running.remove(preempted)
            preempted.computed = 0
            self.waiting.appendleft(preempted)
        for admitted in plan.admitted:
            assert self.waiting.popleft() is admitted
            self.running.append(admitted)
        for chunk in plan.chunks:
            yields = chunk.yields
            chunk.sequence.computed += chunk.count
            if yields:
                chunk.sequence.output.append(2)
            if chunk.sequence.is_full:
                self.running.remove(chunk.sequence)
                self.ended.append(chunk.sequence.id)
        self.steps += 1

    def check(self, plan: Plan) -> None:
        after = [s for s in self.running if s not in plan.preempted] + list(plan.admitted)
        assert len(after) <= self.limits.slots, "more sequences than slots"
        assert cells(after) <= self.limits.pool, "more tokens than the KV cache holds"
        assert sum(chunk.count for chunk in plan.chunks) <= self.limits.step_tokens, "more tokens than a step takes"
        assert all(0 < chunk.count <= chunk.sequence.missing for chunk in plan.chunks)
        assert all(chunk.sequence in after for chunk in plan.chunks)
        decoding = [s for s in after if s.missing == 1]
        assert all(any(c.sequence is s for c in plan.chunks) for s in decoding), "a decoding sequence was left out"
        assert plan.chunks or not (self.waiting or self.running), "work stood still"


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_every_sequence_ends_exactly_once_and_the_cache_never_overflows(data: st.DataObject) -> None:
    slots = data.draw(st.integers(1, 6), label="slots")
    pool = data.draw(st.integers(8, 80), label="pool")
    limits = Limits(pool, slots, step_tokens=data.draw(st.integers(slots, 32)), prefill_tokens=4)
    shapes = data.draw(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), max_size=12), label="requests")
    shapes = [(prompt, length) for prompt, length in shapes if prompt + length <= pool]
    arrivals = [data.draw(st.integers(0, 40), label="arrival") for _ in shapes]
    world = World(limits)
    expected_work = sum(prompt + length for prompt, length in shapes)
    # Each step computes at least one token of the oldest running sequence, and that one is never preempted.
    most_steps = 41 + expected_work * (len(shapes) + 1)
    while len(world.ended) < len(shapes):
        assert world.steps < most_steps, "a sequence starved"
        for number, (prompt, length) in enumerate(shapes):
            if arrivals[number] == world.steps:
                world.waiting.append(sequence(number, prompt, max_tokens=length))
        if world.waiting or world.running:
            world.step()
        else:
            world.steps += 1
    assert sorted(world.ended) == list(range(len(shapes)))
