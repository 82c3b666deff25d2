"""An answer is read as the model wrote it, however much of it looks like a failure of the plugin's."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.constraints.spec import JsonObjectSpec
from oruel.engine.protocol import NO_TOKEN, SequenceFailed, TokenOutput
from oruel.engine.vllm.chunks import RowPiece, TokenChunk
from oruel.engine.vllm.row_reader import RowReader
from oruel.engine.vllm.wire import FAILED_MARKS, WINDOW_RESERVE, Failure, FailureKind, RowRequest, ending_tokens
from oruel.errors import EngineFailed
from oruel.types import SamplingParams

SIZE, MARK, END, SEAL = 300, 299, 298, [9, 8, 9, 7]
SEALED = [*[MARK] * FAILED_MARKS, *SEAL]
FAILURE = Failure(FailureKind.ENGINE, "broken")

# Tokens of which failures are made are as frequent as others.
answers = st.lists(st.sampled_from([MARK, MARK, *SEAL, 65]), min_size=1, max_size=40)


def request(max_tokens: int, *, constrained: bool = False) -> RowRequest:
    return RowRequest(
        engine="e",
        choice=0,
        sampling=SamplingParams(),
        constraint=JsonObjectSpec() if constrained else None,
        end_tokens=[END],
        mark=MARK,
        max_tokens=max_tokens,
        prompt_tokens=1,
        seal=SEAL,
    )


def read(row: RowRequest, pieces: Sequence[Sequence[int]], finish: str = "length") -> list[TokenOutput]:
    reader = RowReader(row, 0, SIZE)
    outputs: list[TokenOutput] = []
    for place, piece in enumerate(pieces):
        ends = finish if place == len(pieces) - 1 else None
        for output in reader.feed(TokenChunk([RowPiece(token_ids=list(piece), finish_reason=ends)])):
            assert not isinstance(output, SequenceFailed)
            outputs.append(output)
    assert reader.has_ended
    return outputs


def contains_failure(tokens: list[int]) -> bool:
    """Whether the plugin's sign of a failure is in the tokens."""
    return any(tokens[start : start + len(SEALED)] == SEALED for start in range(len(tokens)))


@given(tokens=answers, cuts=st.sets(st.integers(1, 39)), stops=st.booleans())
def test_whatever_is_no_whole_failure_is_the_answer(tokens: list[int], cuts: set[int], stops: bool) -> None:
    answer = [*tokens, END] if stops else tokens
    if contains_failure(answer):
        return
    # Where max_tokens ends the answer, an end token of the plugin's follows.
    sent = [*tokens, END]
    edges = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    pieces = [sent[start:end] for start, end in itertools.pairwise(edges)]
    outputs = read(request(len(answer)), pieces, "stop")
    assert [output.token for output in outputs if output.token != NO_TOKEN] == answer
    assert [output.finish for output in outputs] == [*[None] * (len(outputs) - 1), "stop" if stops else "length"]


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("before", [[], [65, 9, 8], [65] * 3], ids=str)
def test_a_failure_is_read_wherever_it_begins(before: list[int], constrained: bool) -> None:
    row = request(1000, constrained=constrained)
    tokens = [*before, *ending_tokens(row, FAILED_MARKS, FAILURE)]
    with pytest.raises(EngineFailed, match="broken"):
        read(row, [[token] for token in tokens], "stop")


def test_marks_of_the_model_before_a_failure_do_not_hide_it() -> None:
    row = request(1000)
    with pytest.raises(EngineFailed, match="broken"):
        read(row, [[MARK, MARK, *ending_tokens(row, FAILED_MARKS, FAILURE)]], "stop")


@pytest.mark.parametrize("left", range(1, len(SEALED) + 3))
@pytest.mark.parametrize("before", [[], [65], [65, MARK], [MARK, MARK]], ids=str)
def test_a_failure_is_read_however_few_tokens_are_left(before: list[int], left: int) -> None:
    row = request(len(before) + left)
    tokens = [*before, *ending_tokens(row, FAILED_MARKS, FAILURE)]
    with pytest.raises(EngineFailed, match="broken"):
        read(row, [[token] for token in tokens], "stop")


@pytest.mark.parametrize("left", range(1, len(SEALED)))
def test_a_failure_that_the_window_cuts_is_still_one(left: int) -> None:
    row = request(left)
    tokens = ending_tokens(row, FAILED_MARKS, FAILURE)[: left + WINDOW_RESERVE]
    with pytest.raises(EngineFailed):
        read(row, [[token] for token in tokens])
