"""The engine's loop over a fake context whose logits say which token follows which."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oruel.engine.engine import Engine
from oruel.engine.protocol import Submit, TokenOutput
from oruel.engine.scheduler import Limits
from oruel.types import SamplingParams

VOCABULARY_SIZE = 64
END = 0
LIMITS = Limits(pool=64, slots=3, step_tokens=8, prefill_tokens=2)


class CountingContext:
    """A model for which token t is followed by t + 1, and that checks what llama.cpp would have to hold."""

    def __init__(self, pool: int) -> None:
        self.pool = pool
        self.held: dict[int, list[int]] = {}

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequence_ids: NDArray[np.integer[Any]],
        outputs: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        rows = []
        for token, position, slot, wanted in zip(tokens, positions, sequence_ids, outputs, strict=True):
            held = self.held.setdefault(int(slot), [])
            assert position == len(held), "a sequence's tokens are computed in order, without gaps"
            held.append(token)
            if wanted:
                row = np.zeros(VOCABULARY_SIZE, dtype=np.float32)
                row[(token + 1) % VOCABULARY_SIZE] = 9.0
                rows.append(row)
        assert sum(map(len, self.held.values())) <= self.pool, "the KV cache overflowed"
        return np.array(rows, dtype=np.float32).reshape(-1, VOCABULARY_SIZE)

    def forget(self, sequence_id: int) -> None:
        self.held.pop(sequence_id, None)


def engine(limits: Limits = LIMITS) -> tuple[Engine, CountingContext]:
    context = CountingContext(limits.pool)
    return Engine(context, limits, vocabulary_size=VOCABULARY_SIZE, is_end=lambda token: token == END), context


GREEDY = SamplingParams(temperature=0)


def submit(number: int, prompt: Iterable[int], max_tokens: int = 4, sampling: SamplingParams = GREEDY) -> Submit:
    return Submit(number, list(prompt), 0, max_tokens, sampling)


def run(under_test: Engine, most_steps: int = 500) -> dict[int, list[TokenOutput]]:
    outputs: dict[int, list[TokenOutput]] = {}
    for _ in range(most_steps):
        if not under_test.has_work:
            return outputs
        for token in under_test.step().tokens:
            outputs.setdefault(token.sequence, []).append(token)
    raise AssertionError("the engine did not come to an end")


def test_a_sequence_ends_at_its_length() -> None:
    under_test, _ = engine()
    under_test.submit(submit(7, [3, 4]))
    (outputs,) = run(under_test).values()
    assert [(o.token, o.finish) for o in outputs] == [(5, None), (6, None), (7, None), (8, "length")]


def test_the_models_end_token_ends_a_sequence() -> None:
    under_test, _ = engine()
    under_test.submit(submit(7, [62]))
    (outputs,) = run(under_test).values()
    assert [(o.token, o.finish) for o in outputs] == [(63, None), (END, "stop")]


def test_requests_join_and_leave_at_any_step() -> None:
    under_test, _ = engine()
    under_test.submit(submit(0, [1], max_tokens=6))
    first = [under_test.step() for _ in range(2)]
    assert [token.sequence for output in first for token in output.tokens] == [0, 0]
    under_test.submit(submit(1, [10], max_tokens=2))
    assert {token.sequence for token in under_test.step().tokens} == {0, 1}
    assert [token.token for token in run(under_test)[0]] == [5, 6, 7]


def test_who_decodes_gets_a_token_at_every_step_while_a_long_prompt_is_prefilled() -> None:
    under_test, _ = engine()
    under_test.submit(submit(0, [1], max_tokens=20))
    under_test.step()
    under_test.submit(submit(1, range(1, 21)))
    for _ in range(9):
        assert [token.sequence for token in under_test.step().tokens] == [0]
    assert {token.sequence for token in under_test.step().tokens} == {0, 1}


def test_a_cancelled_sequence_frees_its_place_before_the_next_step() -> None:
    under_test, context = engine()
    for number in range(4):
        under_test.submit(submit(number, [1], max_tokens=30))
    load = under_test.step().load
    assert (load.running, load.waiting) == (3, 1)
    under_test.cancel(1)
    load = under_test.step().load
    assert (load.running, load.waiting) == (3, 0)
    for number in range(4):
        under_test.cancel(number)
    assert not under_test.has_work
    assert context.held == {}


def test_cancelling_what_is_unknown_changes_nothing() -> None:
    under_test, _ = engine()
    under_test.submit(submit(0, [1]))
    under_test.cancel(99)
    assert len(run(under_test)[0]) == 4


def test_preempted_sequences_go_on_as_if_nothing_had_happened() -> None:
    alone: dict[int, list[TokenOutput]] = {}
    for number in range(3):
        under_test, _ = engine()
        under_test.submit(
            submit(number, range(1, 9), max_tokens=40, sampling=SamplingParams(temperature=0.9, seed=number))
        )
        alone |= run(under_test)
    tight, _ = engine(Limits(pool=64, slots=3, step_tokens=8, prefill_tokens=2))
    for number in range(3):
        tight.submit(submit(number, range(1, 9), max_tokens=40, sampling=SamplingParams(temperature=0.9, seed=number)))
    preemptions = 0
    together: dict[int, list[TokenOutput]] = {}
    while tight.has_work:
        output = tight.step()
        preemptions = output.load.preemptions
        for token in output.tokens:
            together.setdefault(token.sequence, []).append(token)
    assert preemptions > 0
    assert together == alone


def test_logits_that_are_no_numbers_end_only_their_own_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    under_test, context = engine()
    whole = context.decode

    def broken(
        tokens: Sequence[int],
        positions: Sequence[int],
        sequence_ids: NDArray[np.integer[Any]],
        outputs: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        logits = whole(tokens, positions, sequence_ids, outputs)
        logits[sequence_ids == 1] = np.nan
        return logits

    monkeypatch.setattr(context, "decode", broken)
    under_test.submit(submit(0, [1]))
    under_test.submit(submit(1, [1]))
    output = under_test.step()
    assert [failure.sequence for failure in output.failures] == [1]
    assert len(run(under_test)[0]) == 3


def test_logprobs_come_only_where_they_are_asked_for_and_never_for_the_end() -> None:
    under_test, _ = engine()
    under_test.submit(submit(0, [62], sampling=replace(GREEDY, logprobs=2)))
    under_test.submit(submit(1, [62]))
    outputs = run(under_test)
    asked, end = outputs[0]
    exact = np.log(np.exp(9.0) / (np.exp(9.0) + VOCABULARY_SIZE - 1))
    assert asked.logprob == pytest.approx(exact, abs=1e-9)
    assert [token for token, _ in asked.alternatives] == [63, 0]
    assert end.logprob is None
    assert outputs[1][0].logprob is None
