"""GrammarCompiler: constraints are compiled on their own thread, in turns, and every request gets an outcome."""

import queue
import threading
import time
from typing import Any

import msgspec
import pytest

from oruel.constraints.closing.first_end import first_end_search, unclosable_keywords
from oruel.constraints.closing.search import ClosingSearch
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.schema import json_grammar
from oruel.constraints.spec import ConstraintSpec, JsonObjectSpec, RulesSpec, rules_spec, schema_expression, schema_spec
from oruel.constraints.tokens import CACHED_GRAMMARS, TokenTable
from oruel.constraints.weight import MAX_NESTED
from oruel.engine.compiler import Compilation, CompiledRequest, GrammarCompiler
from oruel.engine.engine import Engine
from oruel.engine.protocol import Cancel, SequenceFailed, Submit
from oruel.engine.scheduler import StepLimits
from oruel.engine.worker import Mailbox, route
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import WorkBudget
from oruel.types import SamplingParams
from tests.engine.fake_context import END, VOCABULARY_SIZE, CountingContext
from tests.text.vocabularies import ByteVocabulary

TIMEOUT_SECONDS = 60
WINDOW = 4096
EXACT = {"minimum": -1000, "maximum": -1000}
# The library panics on it.
PANICKING = {"properties": {"a": {"anyOf": [{"anyOf": [EXACT, {"type": "integer", **EXACT}]}]}}}
# Takes about as long to compile as an adversarial schema can.
LARGE = {"enum": [f"value number {number} of many" for number in range(9000)]}


def request(number: int, spec: ConstraintSpec) -> Submit:
    return Submit(number, [1, 2], choice=0, max_tokens=100, sampling=SamplingParams(), constraint=spec)


def rules(text: str) -> RulesSpec:
    return rules_spec(text, "tools")


def make_compiler(window: int = WINDOW) -> tuple[GrammarCompiler, "queue.SimpleQueue[CompiledRequest]"]:
    delivered: queue.SimpleQueue[CompiledRequest] = queue.SimpleQueue()
    return GrammarCompiler(TokenTable(ByteVocabulary()), delivered.put, window), delivered


def test_a_constraint_is_compiled_without_waiting_for_the_main_loop() -> None:
    compiler, delivered = make_compiler()
    mailbox: Mailbox = queue.SimpleQueue()
    route(compiler, mailbox, request(1, JsonObjectSpec()))
    assert delivered.get(timeout=TIMEOUT_SECONDS).request.sequence == 1
    assert mailbox.empty()
    route(compiler, mailbox, Cancel(1))
    assert mailbox.get_nowait() == Cancel(1)


def test_each_spec_compiles_to_its_constraint() -> None:
    compiler, delivered = make_compiler()
    compiler.submit(request(1, JsonObjectSpec()))
    compiler.submit(request(2, schema_spec({"type": "integer"})))
    outcomes = sorted((delivered.get(timeout=TIMEOUT_SECONDS) for _ in range(2)), key=lambda one: one.request.sequence)
    assert [outcome.request.sequence for outcome in outcomes] == [1, 2]
    assert isinstance(outcomes[0].outcome, JsonObjectConstraint)
    assert isinstance(outcomes[1].outcome, GrammarConstraint)
    assert compiler.release(1)
    assert not compiler.release(1)


@pytest.mark.parametrize(
    "spec", [rules("no grammar"), *(schema_spec(schema) for schema in ({"$ref": "#"}, {"type": "wat"}, PANICKING))]
)
def test_a_spec_that_cannot_be_compiled_fails_only_its_request(spec: ConstraintSpec) -> None:
    compiler, delivered = make_compiler()
    compiler.submit(request(1, spec))
    compiler.submit(request(2, schema_spec({"type": "integer"})))
    outcomes = [delivered.get(timeout=TIMEOUT_SECONDS) for _ in range(2)]
    failed, after = (one.outcome for one in sorted(outcomes, key=lambda one: one.request.sequence))
    assert isinstance(failed, SequenceFailed)
    assert failed.param == spec.param
    assert "<state>" not in failed.message
    assert isinstance(after, GrammarConstraint)


def test_an_internal_error_is_delivered_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Compilation:
        yield 0
        raise RuntimeError("a bug")

    monkeypatch.setattr("oruel.engine.compiler.compile_request", fail)
    compiler, delivered = make_compiler()
    compiler.submit(request(1, JsonObjectSpec()))
    outcome = delivered.get(timeout=TIMEOUT_SECONDS).outcome
    assert isinstance(outcome, SequenceFailed)
    assert not outcome.param


def test_streams_continue_while_an_adversarial_schema_is_compiled() -> None:
    compiler, delivered = make_compiler()
    engine = Engine(
        CountingContext(), StepLimits(4), vocabulary_size=VOCABULARY_SIZE, is_end=lambda token: token == END
    )
    engine.submit(Submit(0, [1], choice=0, max_tokens=50, sampling=SamplingParams(temperature=0)), 0)
    compiler.submit(request(1, schema_spec(LARGE)))
    steps = 0
    while delivered.empty() and engine.has_work:
        assert engine.step().tokens
        steps += 1
    assert steps > 0
    assert isinstance(delivered.get(timeout=TIMEOUT_SECONDS).outcome, GrammarConstraint)


def test_other_threads_run_during_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    seen: list[int] = []
    proceed = ClosingSearch.proceed

    def proceed_counting(search: ClosingSearch, work: WorkBudget) -> bool:
        seen.append(len(turns))
        return proceed(search, work)

    monkeypatch.setattr(ClosingSearch, "proceed", proceed_counting)
    searching = threading.Thread(target=unclosable_keywords, args=[{"type": "array", "minItems": 10**6 + 1}])
    searching.start()
    while searching.is_alive():
        time.sleep(0.0005)
        turns.append(1)
    assert len(seen) > 100
    assert len(set(seen)) > len(seen) / 4, "other threads ran between too few pieces"


def test_a_grammar_that_is_too_complex_is_reported_as_such() -> None:
    tokens = TokenTable(ByteVocabulary())
    with pytest.raises(SchemaRefused, match="too complex"):
        tokens.matcher(json_grammar({"type": "integer", "multipleOf": 1234567, "minimum": 10**15}))


class Gate:
    """Replaces compilations: the first piece of the first request waits until the gate opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.opened, self.compiled = threading.Event(), threading.Event(), list[int]()
        monkeypatch.setattr("oruel.engine.compiler.compile_request", self._compilation)

    def _compilation(self, _: TokenTable, wanted: Submit, __: int) -> Compilation:
        assert isinstance(wanted.constraint, RulesSpec)
        self.begun.set()
        assert self.opened.wait(TIMEOUT_SECONDS)
        yield float(wanted.constraint.grammar)
        self.compiled.append(wanted.sequence)
        return SequenceFailed(wanted.sequence, "x")


def test_a_cancelled_request_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    compiler, delivered = make_compiler()
    for number in range(4):
        compiler.submit(request(number, rules("0")))
    assert gate.begun.wait(TIMEOUT_SECONDS)
    for number in range(3):
        assert compiler.release(number)
    gate.opened.set()
    assert delivered.get(timeout=TIMEOUT_SECONDS).request.sequence == 3
    assert gate.compiled == [3]
    assert not compiler.release(0), "its outcome is ignored"


def test_accounts_take_turns_and_each_compiles_its_cheapest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    compiler, delivered = make_compiler()
    compiler.submit(request(0, rules("0")))
    assert gate.begun.wait(TIMEOUT_SECONDS)
    for number, (cache_salt, seconds) in enumerate(
        [("a", 0.03), ("a", 0.02), ("a", 0.01), ("b", 9), ("b", 8)], start=1
    ):
        compiler.submit(msgspec.structs.replace(request(number, rules(str(seconds))), cache_salt=cache_salt))
    gate.opened.set()
    order = [delivered.get(timeout=TIMEOUT_SECONDS).request.sequence for _ in range(6)]
    assert [number for number in order if number in {1, 2, 3}] == [3, 2, 1]
    assert [number for number in order if number in {4, 5}] == [5, 4]
    assert order[-1] == 1


def test_cheap_pieces_do_not_starve_a_costly_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces(_: TokenTable, wanted: Submit, __: int) -> Compilation:
        while wanted.sequence == 1:
            yield 0
        yield 0.02
        return SequenceFailed(wanted.sequence, "x")

    monkeypatch.setattr("oruel.engine.compiler.compile_request", pieces)
    compiler, delivered = make_compiler()
    compiler.submit(request(1, JsonObjectSpec()))
    compiler.submit(request(2, JsonObjectSpec()))
    assert delivered.get(timeout=TIMEOUT_SECONDS).request.sequence == 2
    assert compiler.release(1)


def test_another_compilation_can_overtake_a_search() -> None:
    compiler, delivered = make_compiler(window=10**6)
    compiler.submit(request(1, schema_spec({"type": "array", "minItems": 10**6 + 2})))
    compiler.submit(request(2, schema_spec({"type": "integer"})))
    assert [delivered.get(timeout=TIMEOUT_SECONDS).request.sequence for _ in range(2)] == [2, 1]


def test_a_search_stops_at_the_length_of_the_window() -> None:
    tokens, spec = TokenTable(ByteVocabulary()), schema_spec({"type": "array", "minItems": 10**6 + 3})
    search, pieces = first_end_search(tokens, spec, WINDOW), 1
    while not search.proceed():
        pieces += 1
    assert search.find() is None
    assert pieces < 500


def test_tools_whose_schemas_are_too_costly_together_are_refused() -> None:
    one = {"type": "object", "properties": {f"p{number}": {"type": "integer"} for number in range(300)}}
    lines = [f"tool_{number}: {schema_expression(one | {'title': str(number)})}" for number in range(40)]
    grammar = "\n".join(["%llguidance {}", "start: " + " | ".join(rule.partition(":")[0] for rule in lines), *lines])
    compiler, delivered = make_compiler()
    compiler.submit(request(1, rules(grammar)))
    refused = delivered.get(timeout=TIMEOUT_SECONDS).outcome
    assert isinstance(refused, SequenceFailed)
    assert refused.param == "tools"
    assert "too much work" in refused.message


def test_the_deepest_allowed_schema_does_not_crash_the_compiler() -> None:
    levels = MAX_NESTED // 2 - 2
    nodes = {f"n{number}": {"items": {"$ref": f"#/$defs/n{number + 1}"}} for number in range(levels)}
    schema = {"$defs": nodes | {f"n{levels}": {"type": "null"}}, "$ref": "#/$defs/n0"}
    compiler, delivered = make_compiler()
    compiler.submit(request(1, schema_spec(schema, must_close=False)))
    assert isinstance(delivered.get(timeout=TIMEOUT_SECONDS).outcome, GrammarConstraint)


def test_the_number_of_cached_grammars_is_bounded() -> None:
    tokens = TokenTable(ByteVocabulary())
    for number in range(2 * CACHED_GRAMMARS):
        GrammarConstraint(tokens, schema_spec({"const": number}), 10)
    assert tokens.cached_grammars <= CACHED_GRAMMARS
