"""Forms are compiled beside the engine: one at a time, for those who still wait, and each gets an outcome."""

import queue
import threading
import time
from typing import Any

import msgspec
import pytest

from oruel.constraints.closing_search import ClosingSearch
from oruel.constraints.grammar import GrammarConstraint, first_end, unclosable
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.schema import json_grammar
from oruel.constraints.spec import ConstraintSpec, JsonObjectSpec, RulesSpec, embedded, rules_spec, schema_spec
from oruel.constraints.tokens import REMEMBERED_GRAMMARS, TokenTable
from oruel.constraints.weight import MOST_NESTED
from oruel.engine.compiler import Compilation, CompiledRequest, GrammarCompiler
from oruel.engine.engine import Engine
from oruel.engine.protocol import SequenceFailed, Submit
from oruel.engine.scheduler import StepLimits
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import WorkBudget
from oruel.types import SamplingParams
from tests.engine.fake_context import END, VOCABULARY_SIZE, CountingContext
from tests.text.vocabularies import ByteVocabulary

PATIENCE_SECONDS = 60
WINDOW = 4096
EXACT = {"minimum": -1000, "maximum": -1000}
# The library panics on it.
PANICKING = {"properties": {"a": {"anyOf": [{"anyOf": [EXACT, {"type": "integer", **EXACT}]}]}}}
# Compiles for as long as a hostile schema may.
LARGE = {"enum": [f"value number {number} of many" for number in range(9000)]}


def request(number: int, spec: ConstraintSpec) -> Submit:
    return Submit(number, [1, 2], 0, 100, SamplingParams(), constraint=spec)


def rules(text: str) -> RulesSpec:
    return rules_spec(text, "tools")


def compiling(window: int = WINDOW) -> tuple[GrammarCompiler, "queue.SimpleQueue[CompiledRequest]"]:
    delivered: queue.SimpleQueue[CompiledRequest] = queue.SimpleQueue()
    return GrammarCompiler(TokenTable(ByteVocabulary()), delivered.put, window), delivered


def test_each_form_becomes_its_constraint() -> None:
    compiler, delivered = compiling()
    compiler.submit(request(1, JsonObjectSpec()))
    compiler.submit(request(2, schema_spec({"type": "integer"})))
    outcomes = sorted((delivered.get(timeout=PATIENCE_SECONDS) for _ in range(2)), key=lambda one: one.request.sequence)
    assert [outcome.request.sequence for outcome in outcomes] == [1, 2]
    assert isinstance(outcomes[0].outcome, JsonObjectConstraint)
    assert isinstance(outcomes[1].outcome, GrammarConstraint)
    assert compiler.release(1)
    assert not compiler.release(1)


@pytest.mark.parametrize(
    "spec", [rules("no grammar"), *(schema_spec(schema) for schema in ({"$ref": "#"}, {"type": "wat"}, PANICKING))]
)
def test_a_form_that_cannot_be_compiled_is_its_requests_failure(spec: ConstraintSpec) -> None:
    compiler, delivered = compiling()
    compiler.submit(request(1, spec))
    compiler.submit(request(2, schema_spec({"type": "integer"})))
    outcomes = [delivered.get(timeout=PATIENCE_SECONDS) for _ in range(2)]
    failed, after = (one.outcome for one in sorted(outcomes, key=lambda one: one.request.sequence))
    assert isinstance(failed, SequenceFailed)
    assert failed.param == spec.param
    assert "<state>" not in failed.message
    assert isinstance(after, GrammarConstraint)


def test_a_failure_of_our_own_is_an_outcome_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Compilation:
        yield 0
        raise RuntimeError("a bug")

    monkeypatch.setattr("oruel.engine.compiler.compilation", broken)
    compiler, delivered = compiling()
    compiler.submit(request(1, JsonObjectSpec()))
    outcome = delivered.get(timeout=PATIENCE_SECONDS).outcome
    assert isinstance(outcome, SequenceFailed)
    assert not outcome.param


def test_streams_go_on_while_a_hostile_schema_is_compiled() -> None:
    compiler, delivered = compiling()
    engine = Engine(
        CountingContext(), StepLimits(4), vocabulary_size=VOCABULARY_SIZE, is_end=lambda token: token == END
    )
    engine.submit(Submit(0, [1], 0, 50, SamplingParams(temperature=0)), 0)
    compiler.submit(request(1, schema_spec(LARGE)))
    steps = 0
    while delivered.empty() and engine.has_work:
        assert engine.step().tokens
        steps += 1
    assert steps > 0
    assert isinstance(delivered.get(timeout=PATIENCE_SECONDS).outcome, GrammarConstraint)


def test_other_threads_have_their_turns_while_a_way_to_the_end_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    seen: list[int] = []
    proceed = ClosingSearch.proceed

    def watched(search: ClosingSearch, work: WorkBudget) -> bool:
        seen.append(len(turns))
        return proceed(search, work)

    monkeypatch.setattr(ClosingSearch, "proceed", watched)
    searching = threading.Thread(target=unclosable, args=[{"type": "array", "minItems": 10**6 + 1}])
    searching.start()
    while searching.is_alive():
        time.sleep(0.0005)
        turns.append(1)
    assert len(seen) > 100
    assert len(set(seen)) > len(seen) / 4, "between few pieces did anyone else run"


def test_what_is_too_complex_is_said_to_be() -> None:
    tokens = TokenTable(ByteVocabulary())
    with pytest.raises(SchemaRefused, match="too complex"):
        tokens.matcher(json_grammar({"type": "integer", "multipleOf": 1234567, "minimum": 10**15}))


class Gate:
    """In place of compilations: the first piece of the first request waits until the gate opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.opened, self.compiled = threading.Event(), threading.Event(), list[int]()
        monkeypatch.setattr("oruel.engine.compiler.compilation", self._compilation)

    def _compilation(self, _: TokenTable, wanted: Submit, __: int) -> Compilation:
        assert isinstance(wanted.constraint, RulesSpec)
        self.begun.set()
        assert self.opened.wait(PATIENCE_SECONDS)
        yield float(wanted.constraint.grammar)
        self.compiled.append(wanted.sequence)
        return SequenceFailed(wanted.sequence, "x")


def test_who_went_away_is_not_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    compiler, delivered = compiling()
    for number in range(4):
        compiler.submit(request(number, rules("0")))
    assert gate.begun.wait(PATIENCE_SECONDS)
    for number in range(3):
        assert compiler.release(number)
    gate.opened.set()
    assert delivered.get(timeout=PATIENCE_SECONDS).request.sequence == 3
    assert gate.compiled == [3]
    assert not compiler.release(0), "its outcome is passed over"


def test_accounts_take_turns_and_the_cheapest_compilation_of_each_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    compiler, delivered = compiling()
    compiler.submit(request(0, rules("0")))
    assert gate.begun.wait(PATIENCE_SECONDS)
    for number, (cache_salt, seconds) in enumerate(
        [("a", 0.03), ("a", 0.02), ("a", 0.01), ("b", 9), ("b", 8)], start=1
    ):
        compiler.submit(msgspec.structs.replace(request(number, rules(str(seconds))), cache_salt=cache_salt))
    gate.opened.set()
    order = [delivered.get(timeout=PATIENCE_SECONDS).request.sequence for _ in range(6)]
    assert [number for number in order if number in {1, 2, 3}] == [3, 2, 1]
    assert [number for number in order if number in {4, 5}] == [5, 4]
    assert order[-1] == 1


def test_a_costly_compilation_is_not_put_off_for_ever_by_cheap_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces(_: TokenTable, wanted: Submit, __: int) -> Compilation:
        while wanted.sequence == 1:
            yield 0
        yield 0.02
        return SequenceFailed(wanted.sequence, "x")

    monkeypatch.setattr("oruel.engine.compiler.compilation", pieces)
    compiler, delivered = compiling()
    compiler.submit(request(1, JsonObjectSpec()))
    compiler.submit(request(2, JsonObjectSpec()))
    assert delivered.get(timeout=PATIENCE_SECONDS).request.sequence == 2
    assert compiler.release(1)


def test_a_search_for_an_end_lets_another_compilation_go_first() -> None:
    compiler, delivered = compiling(window=10**6)
    compiler.submit(request(1, schema_spec({"type": "array", "minItems": 10**6 + 2})))
    compiler.submit(request(2, schema_spec({"type": "integer"})))
    assert [delivered.get(timeout=PATIENCE_SECONDS).request.sequence for _ in range(2)] == [2, 1]


def test_an_end_that_no_sequence_could_hold_is_not_searched_to_the_last() -> None:
    tokens, spec = TokenTable(ByteVocabulary()), schema_spec({"type": "array", "minItems": 10**6 + 3})
    search, pieces = first_end(tokens, spec, WINDOW), 1
    while not search.proceed():
        pieces += 1
    assert search.find() is None
    assert pieces < 100


def test_many_tools_whose_schemas_are_too_much_together_are_refused() -> None:
    one = {"type": "object", "properties": {f"p{number}": {"type": "integer"} for number in range(300)}}
    lines = [f"tool_{number}: {embedded(one | {'title': str(number)})}" for number in range(40)]
    grammar = "\n".join(["%llguidance {}", "start: " + " | ".join(rule.partition(":")[0] for rule in lines), *lines])
    compiler, delivered = compiling()
    compiler.submit(request(1, rules(grammar)))
    refused = delivered.get(timeout=PATIENCE_SECONDS).outcome
    assert isinstance(refused, SequenceFailed)
    assert refused.param == "tools"
    assert "too much work" in refused.message


def test_the_deepest_schema_that_is_allowed_does_not_crash_the_compiler() -> None:
    levels = MOST_NESTED // 2 - 2
    nodes = {f"n{number}": {"items": {"$ref": f"#/$defs/n{number + 1}"}} for number in range(levels)}
    schema = {"$defs": nodes | {f"n{levels}": {"type": "null"}}, "$ref": "#/$defs/n0"}
    compiler, delivered = compiling()
    compiler.submit(request(1, schema_spec(schema, closes=False)))
    assert isinstance(delivered.get(timeout=PATIENCE_SECONDS).outcome, GrammarConstraint)


def test_only_so_many_grammars_are_held() -> None:
    tokens = TokenTable(ByteVocabulary())
    for number in range(2 * REMEMBERED_GRAMMARS):
        GrammarConstraint(tokens, schema_spec({"const": number}), 10)
    assert tokens.remembered <= REMEMBERED_GRAMMARS
