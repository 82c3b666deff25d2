"""A row's next token depends on its request and its output alone, whatever vLLM discards, repeats or preempts."""

import pytest
from oruel_vllm.row import BROKEN_MESSAGE, LOST_MESSAGE, SampledRow, ScriptedRow
from oruel_vllm.row_step import BROKEN, RowStep

from oruel.engine.vllm.wire import FAILED_MARKS, Failure, FailureKind, ending_tokens
from oruel.sampling.draw import Uniforms
from tests.vllm_plugin.rows import END, MARK, row_request


def step_of(row: SampledRow, position: int) -> RowStep:
    step = row.next(position)
    assert isinstance(step, RowStep)
    return step


def counts(step: RowStep) -> dict[int, int]:
    if step.changed is None:
        return {}
    tokens, _, numbers = step.changed.columns
    return {int(token): int(number) for token, number in zip(tokens, numbers, strict=True) if number}


def chosen(row: SampledRow, position: int, token: int) -> None:
    row.next(position)
    row.chose(lambda: token)


def test_each_position_has_its_own_number_and_counts_what_was_chosen_before() -> None:
    row = SampledRow(row_request(seed=5, presence_penalty=1.0))
    for position, token in enumerate([7, 9, 7]):
        assert step_of(row, position).u == Uniforms(5, 0).at(position)
        row.chose(lambda token=token: token)  # type: ignore[misc]
    assert counts(step_of(row, 3)) == {7: 2, 9: 1}


def test_a_token_that_vllm_discards_is_not_counted() -> None:
    row = SampledRow(row_request(presence_penalty=1.0))
    for discarded in (4, 5, 6):
        chosen(row, 0, discarded)
    chosen(row, 0, 8)
    assert counts(step_of(row, 1)) == {8: 1}


def test_a_preempted_row_continues_as_if_it_had_run_on() -> None:
    row, preempted = (SampledRow(row_request(seed=1, frequency_penalty=1.0), output) for output in ([], [3, 4, 3]))
    for position, token in enumerate([3, 4, 3]):
        chosen(row, position, token)
    assert counts(step_of(row, 3)) == counts(step_of(preempted, 3))
    assert step_of(row, 3).u == step_of(preempted, 3).u


def test_a_row_goes_back_if_vllm_drops_its_last_tokens() -> None:
    row = SampledRow(row_request(presence_penalty=1.0))
    for position, token in enumerate([3, 4, 5]):
        chosen(row, position, token)
    row.next(3)
    assert counts(step_of(row, 1)) == {3: 1}


def test_after_max_tokens_a_row_only_ends() -> None:
    row = SampledRow(row_request(max_tokens=2))
    chosen(row, 0, 5)
    chosen(row, 1, 6)
    assert row.next(2) == END


def test_a_row_whose_last_logits_are_broken_ends_with_the_reason() -> None:
    request = row_request(max_tokens=2)
    row = SampledRow(request)
    chosen(row, 0, 5)
    chosen(row, 1, BROKEN)
    told = ending_tokens(request, FAILED_MARKS, Failure(FailureKind.ENGINE, BROKEN_MESSAGE))
    assert [row.next(1 + place) for place in range(1, len(told))] == told[1:]


def test_a_bias_alone_counts_nothing() -> None:
    row = SampledRow(row_request(logit_bias={2: 1.5}))
    chosen(row, 0, 2)
    assert counts(step_of(row, 1)) == {}


def test_a_row_with_broken_logits_ends_with_the_reason() -> None:
    request = row_request()
    row = SampledRow(request)
    chosen(row, 0, 5)
    chosen(row, 1, BROKEN)
    told = ending_tokens(request, FAILED_MARKS, Failure(FailureKind.ENGINE, BROKEN_MESSAGE))
    # The first mark was emitted in place of the broken token.
    emitted = [MARK]
    for position in range(2, len(told) + 1):
        token = row.next(position)
        assert isinstance(token, int)
        row.chose(lambda token=token: token)  # type: ignore[misc]
        emitted.append(token)
    assert emitted == told
    assert emitted[-1] == END


def test_a_row_whose_tokens_are_lost_fails_instead_of_guessing() -> None:
    request = row_request()
    row = SampledRow(request)
    told = ending_tokens(request, FAILED_MARKS, Failure(FailureKind.ENGINE, LOST_MESSAGE))
    assert [row.next(2 + place) for place in range(3)] == told[:3]


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_script_is_followed_by_position(position: int) -> None:
    assert ScriptedRow([4, 5], after=9).next(position) == [4, 5, 9, 9][position]
