"""A constrained row writes what the embedded engine would write, also if vLLM discards tokens or preempts it."""

import json
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from oruel_vllm.constrained_row import BUG_MESSAGE, ConstrainedRow
from oruel_vllm.constraint_threads import ConstraintThreads
from oruel_vllm.row_step import RowStep

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.spec import ConstraintSpec, JsonObjectSpec, RulesSpec, schema_spec
from oruel.engine.vllm.wire import CLOSED_MARKS, COMPLETE_MARKS, FAILED_MARKS, Failure, FailureKind, ending_tokens
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import UNDECIDED
from tests.vllm_plugin.rows import END, MARK, TOKENS, VOCABULARY, row_request

PERSON = schema_spec(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)

# A token of the array is refused if the item is there already.
DISTINCT = schema_spec({"type": "array", "items": {"enum": ["ab", "a", "b"]}, "uniqueItems": True, "minItems": 2})


@pytest.fixture(scope="module")
def threads() -> Iterator[ConstraintThreads]:
    threads = ConstraintThreads(TOKENS, 4096)
    yield threads
    threads.stop()


def allowed_tokens(step: RowStep) -> list[int]:
    assert step.mask is not None
    return [int(token) for token in np.flatnonzero(np.unpackbits(step.mask, bitorder="little"))]


def emit(row: ConstrainedRow, position: int, chooser: random.Random) -> int:
    """One step of vLLM's: the token that it emits."""
    step = row.next(position)
    while isinstance(step, RowStep):
        step = row.enforce(chooser.choice(allowed_tokens(step)))
    token = step
    row.chose(lambda: token)
    return token


def write(row: ConstrainedRow, seed: int, repeat: bool = False) -> list[int]:
    """The output up to its end token. With `repeat`, vLLM discards the first token of each position that the seed
    says.
    """
    chooser, discards = random.Random(seed), random.Random(~seed)
    output: list[int] = []
    while END not in output:
        if repeat and discards.random() < 0.3:
            emit(row, len(output), random.Random(seed + 1))
        output.append(emit(row, len(output), chooser))
    return output


def text(output: list[int]) -> str:
    return b"".join(map(VOCABULARY.piece, output[: output.index(MARK)])).decode()


@pytest.mark.parametrize("spec", [JsonObjectSpec(), PERSON], ids=["json_object", "schema"])
@pytest.mark.parametrize("budget", [24, 60])
def test_a_document_closes_within_its_budget_and_the_marks_say_how(
    threads: ConstraintThreads, spec: ConstraintSpec, budget: int
) -> None:
    endings = set()
    for seed in range(15):
        output = write(ConstrainedRow(row_request(spec, budget), [], threads), seed)
        assert isinstance(json.loads(text(output)), dict), f"seed {seed}"
        assert output.index(MARK) <= budget
        endings.add(output.count(MARK))
    assert endings <= {COMPLETE_MARKS, CLOSED_MARKS}
    assert CLOSED_MARKS in endings, "random text hardly ends by itself"


@pytest.mark.parametrize("spec", [JsonObjectSpec(), PERSON], ids=["json_object", "schema"])
def test_tokens_that_vllm_discards_change_nothing(threads: ConstraintThreads, spec: ConstraintSpec) -> None:
    for seed in range(10):
        plain, repeated = (
            write(ConstrainedRow(row_request(spec), [], threads), seed, repeat) for repeat in (False, True)
        )
        assert plain == repeated, f"seed {seed}"


def test_a_row_whose_token_is_refused_gets_another_draw(threads: ConstraintThreads) -> None:
    for seed in range(10):
        items = json.loads(text(write(ConstrainedRow(row_request(DISTINCT), [], threads), seed, repeat=True)))
        assert len(items) == len(set(items)) >= 2


def test_a_preempted_row_is_replayed(threads: ConstraintThreads) -> None:
    chooser = random.Random(4)
    row = ConstrainedRow(row_request(PERSON), [], threads)
    output = [emit(row, position, chooser) for position in range(12)]
    again = ConstrainedRow(row_request(PERSON), output, threads)
    for position in range(12, 40):
        step, same = row.next(position), again.next(position)
        if isinstance(step, RowStep):
            assert isinstance(same, RowStep)
            allowed = allowed_tokens(step)
            assert allowed_tokens(same) == allowed
            token = row.enforce(allowed[0])
            assert isinstance(token, int)
            assert again.enforce(allowed[0]) == token
        else:
            assert same == step
            token = step
        row.chose(lambda token=token: token)  # type: ignore[misc]
        again.chose(lambda token=token: token)  # type: ignore[misc]


def test_calls_are_cut_by_max_tokens_without_a_mark(threads: ConstraintThreads) -> None:
    calls = RulesSpec(('start: "x" /[a-z]{200}/',), "tools")
    output = write(ConstrainedRow(row_request(calls, 6), [], threads), 1)
    assert output[6:] == [END]
    assert MARK not in output


def test_a_constraint_that_fails_ends_the_row_with_the_reason_and_harms_no_other(threads: ConstraintThreads) -> None:
    request = row_request(RulesSpec(("start: nonsense",), "tools"))
    row = ConstrainedRow(request, [], threads)
    output: list[int] = []
    while END not in output:
        output.append(emit(row, len(output), random.Random(1)))
    failure = Failure.read(output[FAILED_MARKS:-1])
    assert output == ending_tokens(request, FAILED_MARKS, failure)
    assert "nonsense" in failure.message
    assert json.loads(text(write(ConstrainedRow(row_request(JsonObjectSpec()), [], threads), 1))) is not None


def test_a_row_that_leaves_while_it_compiles_is_forgotten(threads: ConstraintThreads) -> None:
    rows = [ConstrainedRow(row_request(PERSON), [], threads) for _ in range(20)]
    for row in rows:
        row.close()
    assert JsonObjectConstraint(TOKENS, 9).mask().any()


def panic(*_: object) -> int:
    raise PanicException("as the library's, which is no Exception")


class PanicException(BaseException): ...


@pytest.mark.parametrize("enforce", [lambda *_: UNDECIDED, panic], ids=["endless", "panic"])
def test_a_row_whose_limits_cant_be_enforced_ends_with_the_reason(
    threads: ConstraintThreads, enforce: Callable[..., int]
) -> None:
    request, chooser = row_request(JsonObjectSpec()), random.Random(2)
    row = ConstrainedRow(request, [], threads)
    output = [emit(row, position, chooser) for position in range(3)]
    assert row._constraint
    row._constraint.enforce_limits = enforce  # type: ignore[method-assign]
    while END not in output:
        output.append(emit(row, len(output), chooser))
    start = output.index(MARK)
    assert output[start:] == ending_tokens(request, FAILED_MARKS, Failure.read(output[start + FAILED_MARKS : -1]))


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_a_row_that_is_preempted_in_its_ending_goes_on_with_it(threads: ConstraintThreads, shown: int) -> None:
    for seed in range(6):
        request = row_request(JsonObjectSpec(), 24)
        whole = write(ConstrainedRow(request, [], threads), seed)
        output = whole[: whole.index(MARK) + shown]
        if END not in output:
            row = ConstrainedRow(request, output, threads)
            while END not in output:
                output.append(emit(row, len(output), random.Random(0)))
            assert output == whole, f"seed {seed}"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (SchemaRefused("it is too complex"), Failure(FailureKind.CONSTRAINT, "it is too complex")),
        (RuntimeError("a bug"), Failure(FailureKind.ENGINE, BUG_MESSAGE)),
    ],
    ids=str,
)
def test_a_constraint_that_fails_while_it_is_enforced_fails_its_row_and_no_step(
    threads: ConstraintThreads, monkeypatch: pytest.MonkeyPatch, error: Exception, failure: Failure
) -> None:
    request = row_request(PERSON)
    row = ConstrainedRow(request, [], threads)
    chooser = random.Random(3)
    output = [emit(row, position, chooser) for position in range(3)]

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(GrammarConstraint, "enforce_limits", fail)
    told = ending_tokens(request, FAILED_MARKS, failure)
    while END not in output:
        output.append(emit(row, len(output), chooser))
    assert output[-len(told) :] == told
