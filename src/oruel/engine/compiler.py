"""Compiles grammars into constraints on a separate thread, so that no stream waits for an expensive one."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from oruel.constraints.calls.arguments import Arguments, checked_arguments
from oruel.constraints.calls.constraint import CallsConstraint
from oruel.constraints.calls.heads import CallHeads
from oruel.constraints.calls.readable import ReadableArguments
from oruel.constraints.closing.first_end import compiled, first_end_search
from oruel.constraints.document_or_calls import DocumentOrCalls
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.spec import DocumentOrCallsSpec, DocumentSpec, JsonObjectSpec, RulesSpec
from oruel.constraints.tokens import TokenTable, panics_refused
from oruel.constraints.weight import MAX_TOTAL_WEIGHT, SECONDS_PER_UNIT, check_weight
from oruel.engine.protocol import SequenceFailed, Submit
from oruel.engine.turns import Turns
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import Constraint

# Several times what the library needs for the deepest allowed schema.
STACK_BYTES = 64 * 2**20
# A piece that takes one second is postponed by this many seconds.
DELAY_FACTOR = 10
# The duration of one piece of a search.
SEARCH_SECONDS = 0.002

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompiledRequest:
    """A request with its constraint, or with the failure to compile it."""

    request: Submit
    outcome: Constraint | SequenceFailed


# Yields, before each piece of work, an estimate of its seconds.
Compilation = Generator[float, None, Constraint | SequenceFailed]


class GrammarCompiler:
    """Compiles in pieces, on a separate thread, where it calls `deliver` with each outcome. `submit` and `release` may
    be called from different threads. Cache salts (accounts) take turns, one piece each. Within one, a costly piece is
    postponed, so that cheap ones that arrive in the meantime go first. `window`: the maximum length of a sequence in
    tokens.
    """

    def __init__(self, tokens: TokenTable, deliver: Callable[[CompiledRequest], None], window: int) -> None:
        self._tokens = tokens
        self._deliver = deliver
        self._window = window
        self._pending: set[int] = set()
        self._turns: Turns[tuple[Submit, Compilation]] = Turns()
        self._changed = threading.Condition()
        with deep_stack():
            threading.Thread(target=self._run, name="compiler", daemon=True).start()

    def submit(self, request: Submit) -> None:
        """Queues a request, which has a constraint."""
        with self._changed:
            self._pending.add(request.sequence)
        self._queue(request, compile_request(self._tokens, request, self._window), 0)

    def release(self, sequence: int) -> bool:
        """Forgets a sequence. Returns whether its outcome was still pending."""
        with self._changed:
            was_pending = sequence in self._pending
            self._pending.discard(sequence)
            self._turns.remove(sequence)
        return was_pending

    def _queue(self, request: Submit, work: Compilation, seconds: float) -> None:
        with self._changed:
            due = time.monotonic() + DELAY_FACTOR * seconds
            self._turns.add(request.sequence, request.cache_salt, due, (request, work))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while (taken := self._turns.next()) is None:
                    self._changed.wait()
            self._proceed(*taken)

    def _proceed(self, request: Submit, work: Compilation) -> None:
        try:
            seconds = next(work)
        except StopIteration as ended:
            self._deliver(CompiledRequest(request, ended.value))
        except Exception:
            log.exception("a constraint could not be compiled")
            failure = SequenceFailed(request.sequence, "The requested format can't be compiled.")
            self._deliver(CompiledRequest(request, failure))
        else:
            if request.sequence in self._pending:
                self._queue(request, work, seconds)


@contextmanager
def deep_stack() -> Iterator[None]:
    """Sets the stack size of threads started inside: the library recurses as deep as a schema nests."""
    before = threading.stack_size(STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(before)


def compile_request(tokens: TokenTable, request: Submit, window: int) -> Compilation:
    """Compiles the constraint of a request, in pieces. Returns a SequenceFailed with the reason if that fails."""
    spec, budget = request.constraint, request.max_tokens
    assert spec is not None
    try:
        with panics_refused():
            yield SECONDS_PER_UNIT * check_weight(*spec.schemas, most=MAX_TOTAL_WEIGHT)
            if isinstance(spec, DocumentOrCallsSpec):
                document = yield from compile_document(tokens, spec.document, budget, window)
                calls = yield from compile_calls(tokens, spec.calls, budget, window)
                return DocumentOrCalls(document, calls)
            if isinstance(spec, RulesSpec) and not spec.must_close:
                return (yield from compile_calls(tokens, spec, budget, window))
            return (yield from compile_document(tokens, spec, budget, window))
    except SchemaRefused as error:
        return SequenceFailed(request.sequence, error.message, spec.param)


def compile_document(
    tokens: TokenTable, spec: DocumentSpec, budget: int, window: int
) -> Generator[float, None, JsonObjectConstraint | GrammarConstraint]:
    if isinstance(spec, JsonObjectSpec):
        return JsonObjectConstraint(tokens, budget)
    if not spec.must_close:
        return GrammarConstraint(tokens, spec, budget)
    search = first_end_search(tokens, spec, window)
    while not search.proceed():
        yield SEARCH_SECONDS
    return GrammarConstraint(tokens, spec, budget, search=search)


def compile_calls(
    tokens: TokenTable, spec: RulesSpec, budget: int, window: int
) -> Generator[float, None, GrammarConstraint | CallsConstraint]:
    wider, _ = compiled(tokens, spec)
    assert isinstance(wider, RulesSpec)
    arguments: list[Arguments] = []
    for each in wider.arguments:
        document, checked = wider.document(each), None
        if each.checked:
            search = first_end_search(tokens, document, window)
            while not search.proceed():
                yield SEARCH_SECONDS
            checked = checked_arguments(tokens, document, search)
        arguments.append(checked or ReadableArguments(tokens))
    calls = GrammarConstraint(tokens, wider, budget)
    return CallsConstraint(tokens, calls, CallHeads(tokens, wider.arguments), arguments) if arguments else calls
