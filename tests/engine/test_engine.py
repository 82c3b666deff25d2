"""The engine loop over a fake context, which also checks the shape of every batch."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oruel.engine.engine import Engine
from oruel.engine.protocol import StepOutput, Submit, TokenOutput
from oruel.engine.scheduler import StepLimits
from oruel.sampling.constraint import UNDECIDED, WorkBudget
from oruel.types import SamplingParams, Tier
from tests.engine.fake_context import END, VOCABULARY_SIZE, CountingContext

GREEDY = SamplingParams(temperature=0)


def engine(context: CountingContext, *, parallel: int | None = None) -> Engine:
    limits = StepLimits(parallel or context.sequences)
    return Engine(context, limits, vocabulary_size=VOCABULARY_SIZE, is_end=lambda token: token == END)


def submit(
    number: int,
    prompt: Iterable[int],
    max_tokens: int = 4,
    *,
    sampling: SamplingParams = GREEDY,
    tier: Tier = "standard",
) -> Submit:
    return Submit(number, list(prompt), choice=0, max_tokens=max_tokens, sampling=sampling, tier=tier)


def run(under_test: Engine, most_steps: int = 500) -> dict[int, list[TokenOutput]]:
    outputs: dict[int, list[TokenOutput]] = {}
    for _ in range(most_steps):
        if not under_test.has_work:
            return outputs
        for token in under_test.step().tokens:
            outputs.setdefault(token.sequence, []).append(token)
    raise AssertionError("the engine did not finish")


def test_a_sequence_ends_at_max_tokens() -> None:
    under_test = engine(CountingContext())
    under_test.submit(submit(7, [3, 4]), 0)
    (outputs,) = run(under_test).values()
    assert [(o.token, o.finish) for o in outputs] == [(5, None), (6, None), (7, None), (8, "length")]


def test_an_end_token_ends_a_sequence() -> None:
    under_test = engine(CountingContext())
    under_test.submit(submit(7, [62]), 0)
    (outputs,) = run(under_test).values()
    assert [(o.token, o.finish) for o in outputs] == [(63, None), (END, "stop")]


def test_requests_join_and_leave_at_any_step() -> None:
    under_test = engine(CountingContext())
    under_test.submit(submit(0, [1], max_tokens=6), 0)
    first = [under_test.step() for _ in range(2)]
    assert [token.sequence for output in first for token in output.tokens] == [0, 0]
    under_test.submit(submit(1, [10], max_tokens=2), 1)
    assert {token.sequence for token in under_test.step().tokens} == {0, 1}
    assert [token.token for token in run(under_test)[0]] == [5, 6, 7]


class Slow:
    """A constraint that needs the work of `steps` steps to decide each token."""

    forced: tuple[int, ...] = ()
    is_complete = is_closing = False

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._waited = 0

    def mask(self) -> NDArray[np.uint8]:
        assert self._waited == 0, "no other method may be called while a token is undecided"
        return np.full(VOCABULARY_SIZE // 8, 255, np.uint8)

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        assert work is not None
        work.left = 0
        self._waited = (self._waited + 1) % self._steps
        return UNDECIDED if self._waited else token

    def accept(self, token: int) -> None:
        pass


def test_a_slow_constraint_does_not_delay_the_other_sequences() -> None:
    under_test = engine(CountingContext())
    under_test.submit(submit(0, [1], max_tokens=3), 0, Slow(5))
    under_test.submit(submit(1, [10], max_tokens=12), 0)
    steps = [under_test.step() for _ in range(12)]
    assert all(1 in {token.sequence for token in step.tokens} for step in steps)
    slow = [(number, token.token) for number, step in enumerate(steps) for token in step.tokens if token.sequence == 0]
    assert [token for _, token in slow] == [2, 3]
    assert run(under_test)[0][-1].finish == "length"


def test_an_undecided_sequence_can_be_cancelled_and_preempted() -> None:
    under_test = engine(CountingContext(sequences=2), parallel=1)
    under_test.submit(submit(0, [1], max_tokens=3), 0, Slow(3))
    under_test.step()
    under_test.submit(submit(1, [10], max_tokens=2, tier="turbo"), 1)
    outputs = run(under_test)
    assert [token.token for token in outputs[0]] == [2, 3, 4]
    assert [token.token for token in outputs[1]] == [11, 12]
    under_test.submit(submit(2, [1], max_tokens=3), 2, Slow(3))
    under_test.step()
    under_test.cancel(2)
    assert not under_test.has_work


def test_decoding_sequences_get_a_token_per_step_during_a_long_prefill() -> None:
    under_test = engine(CountingContext(window=2000))
    under_test.submit(submit(0, [1], max_tokens=50), 0)
    under_test.step()
    under_test.submit(submit(1, [9] * 1201), 1)
    # Two chunks of 60 per step: ten steps, and one for the remaining token.
    for _ in range(10):
        assert [token.sequence for token in under_test.step().tokens] == [0]
    assert {token.sequence for token in under_test.step().tokens} == {0, 1}


def test_a_cancelled_sequence_frees_its_slot_before_the_next_step() -> None:
    under_test = engine(CountingContext(), parallel=3)
    for number in range(4):
        under_test.submit(submit(number, [number + 1], max_tokens=30), number)
    load = under_test.step().load
    assert (load.running, load.waiting) == (3, 1)
    under_test.cancel(1)
    load = under_test.step().load
    assert (load.running, load.waiting) == (3, 0)
    for number in range(4):
        under_test.cancel(number)
    assert not under_test.has_work


def test_cancelling_an_unknown_sequence_changes_nothing() -> None:
    under_test = engine(CountingContext())
    under_test.submit(submit(0, [1]), 0)
    under_test.cancel(99)
    assert len(run(under_test)[0]) == 4


def test_nan_logits_end_only_their_own_sequence() -> None:
    context = CountingContext()
    context.broken = {40}
    under_test = engine(context)
    under_test.submit(submit(0, [1]), 0)
    under_test.submit(submit(1, [40]), 0)
    output = under_test.step()
    assert [failure.sequence for failure in output.failures] == [1]
    assert len(run(under_test)[0]) == 3


def test_logprobs_are_present_only_on_request_and_never_for_end_tokens() -> None:
    under_test = engine(CountingContext())
    under_test.submit(submit(0, [62], sampling=replace(GREEDY, logprobs=2)), 0)
    under_test.submit(submit(1, [62]), 0)
    outputs = run(under_test)
    asked, end = outputs[0]
    exact = np.log(np.exp(9.0) / (np.exp(9.0) + VOCABULARY_SIZE - 1))
    assert asked.logprob == pytest.approx(exact, abs=1e-9)
    assert [token for token, _ in asked.alternatives] == [63, 0]
    assert end.logprob is None
    assert outputs[1][0].logprob is None


def prompt(length: int, first: int = 1) -> list[int]:
    return [first + number % 7 for number in range(length)]


def cached_tokens(output: StepOutput) -> dict[int, int]:
    return {first.sequence: first.cached for first in output.started}


def test_two_cold_requests_compute_a_shared_prefix_once() -> None:
    context = CountingContext(window=512)
    under_test = engine(context)
    for number in range(2):
        under_test.submit(submit(number, [*prompt(300), 20 + number], max_tokens=2), number)
    outputs = run(under_test)
    assert {number: len(tokens) for number, tokens in outputs.items()} == {0: 2, 1: 2}
    assert context.rows < 300 + 20, "the second sequence reuses the cells of the first"


def test_the_next_turn_of_a_conversation_computes_only_new_tokens() -> None:
    context = CountingContext(window=512)
    under_test = engine(context)
    first = prompt(200)
    under_test.submit(submit(0, first, max_tokens=3), 0)
    answer = [output.token for output in run(under_test)[0]]
    before = context.rows
    under_test.submit(submit(1, [*first, *answer, 30, 31, 32], max_tokens=1), 1)
    # The last token of the answer was never computed, so it is the first new one.
    assert cached_tokens(under_test.step()) == {1: 202}
    assert context.rows - before == 4
    assert context.copies == 0, "it continues in the same slot"


def test_a_diverging_prompt_is_computed_from_the_first_difference() -> None:
    context = CountingContext(sequences=2, window=512)
    under_test = engine(context)
    under_test.submit(submit(0, prompt(200), max_tokens=1), 0)
    run(under_test)
    under_test.submit(submit(1, [*prompt(150), 40, *prompt(49)], max_tokens=1), 1)
    assert cached_tokens(under_test.step()) == {1: 150}


def test_a_fully_cached_prompt_still_computes_its_last_token() -> None:
    under_test = engine(CountingContext(window=512))
    for number in range(2):
        under_test.submit(submit(number, prompt(100), max_tokens=1), number)
        last = under_test.step()
        run(under_test)
    assert cached_tokens(last) == {1: 99}


def test_prefixes_are_shared_within_a_cache_salt_only() -> None:
    under_test = engine(CountingContext(window=512))
    cached: dict[int, int] = {}
    for number, cache_salt in enumerate(("ada", "bob", "ada")):
        request = msgspec.structs.replace(submit(number, prompt(100), max_tokens=1), cache_salt=cache_salt)
        under_test.submit(request, number)
        cached |= cached_tokens(under_test.step())
        run(under_test)
    assert cached == {0: 0, 1: 0, 2: 99}


def test_the_least_recently_used_idle_slot_is_evicted() -> None:
    context = CountingContext(sequences=3, window=512)
    under_test = engine(context)
    for number, first in enumerate((1, 20, 40)):
        under_test.submit(submit(number, prompt(100, first), max_tokens=1), number)
        run(under_test)
    under_test.submit(submit(3, prompt(100, 50), max_tokens=1), 3)
    run(under_test)
    cached: dict[int, int] = {}
    for number, first in ((4, 40), (5, 20), (6, 1)):
        under_test.submit(submit(number, prompt(100, first), max_tokens=1), number)
        cached |= cached_tokens(under_test.step())
        run(under_test)
    assert cached == {4: 99, 5: 99, 6: 0}


def test_turbo_starts_before_standard_and_preempts_the_youngest() -> None:
    under_test = engine(CountingContext(window=512), parallel=2)
    for number in range(2):
        under_test.submit(submit(number, [number + 1], max_tokens=40), number)
    under_test.step()
    under_test.submit(submit(2, [5], max_tokens=3), 2)
    under_test.submit(submit(3, [6], max_tokens=3, tier="turbo"), 3)
    output = under_test.step()
    assert {token.sequence for token in output.tokens} == {0, 3}
    assert output.load.preemptions == 1
    outputs = run(under_test)
    assert len(outputs[1]) == 39, "the preempted sequence continues where it was"
    assert list(outputs).index(1) < list(outputs).index(2)


def test_turbo_does_not_pass_a_standard_request_beyond_its_head_start() -> None:
    under_test = engine(CountingContext(window=512), parallel=1)
    under_test.submit(submit(0, [1], max_tokens=30), 0)
    under_test.step()
    under_test.submit(submit(1, [2], max_tokens=2), 1)
    under_test.submit(submit(2, [3], max_tokens=2, tier="turbo"), 11.5)
    order = list(run(under_test))
    assert order == [0, 1, 2]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_tokens_of_a_sequence_do_not_depend_on_the_others(data: st.DataObject) -> None:
    """Random arrivals, cancellations and preemptions over few slots; the fake context checks every batch."""
    sampling = [SamplingParams(temperature=0.9, seed=seed, top_k=5) for seed in range(4)]
    shape = st.tuples(st.integers(1, 200), st.sampled_from([1, 8]), st.integers(1, 30), st.sampled_from([0, 1, 2, 3]))
    shapes: list[tuple[int, int, int, int]] = data.draw(st.lists(shape, min_size=1, max_size=10), label="requests")
    alone: dict[int, list[int]] = {}
    for number, (length, first, most, seed) in enumerate(shapes):
        quiet = engine(CountingContext(window=256))
        quiet.submit(submit(number, prompt(length, first), most, sampling=sampling[seed]), 0)
        alone[number] = [output.token for output in run(quiet)[number]]
    busy = engine(CountingContext(sequences=data.draw(st.integers(2, 5), label="slots"), window=256))
    together: dict[int, list[int]] = {number: [] for number in alone}
    finished: list[int] = []
    cancelled: set[int] = set()
    pending = list(enumerate(shapes))
    for step in range(3000):
        while pending and (bool(data.draw(st.integers(0, 1), label="arrives")) or not busy.has_work):
            number, (length, first, most, seed) = pending.pop(0)
            tier: Tier = "turbo" if number % 3 == 0 else "standard"
            busy.submit(submit(number, prompt(length, first), most, sampling=sampling[seed], tier=tier), float(step))
        if not busy.has_work:
            break
        output = busy.step()
        for token in output.tokens:
            together[token.sequence].append(token.token)
            finished += [token.sequence] if token.finish else []
        if step % 17 == 5 and (unfinished := set(together) - set(finished) - cancelled - {n for n, _ in pending}):
            cancelled.add(min(unfinished))
            busy.cancel(min(unfinished))
    assert sorted(finished) == sorted(set(alone) - cancelled), "every sequence ends exactly once"
    for number, tokens in together.items():
        assert tokens == alone[number][: len(tokens)]
        assert number in cancelled or tokens == alone[number]
