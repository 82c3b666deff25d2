"""Grammars become constraints in a thread of their own, so that no stream waits for a large one."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from oruel.constraints.either import Either
from oruel.constraints.grammar import Grammar, NotWanted
from oruel.constraints.hints import schemas_in
from oruel.constraints.json_object import GRAMMAR, JsonObject
from oruel.constraints.tokens import Tokens, panics_refused
from oruel.constraints.weight import MOST_WEIGHT_TOGETHER, check_weight
from oruel.engine.protocol import Failure, Form, Submit
from oruel.engine.turns import Turns
from oruel.errors import SchemaRefused
from oruel.sampling.mask import Constraint

# Several times what the library needs for the deepest schema that is allowed.
STACK_BYTES = 64 * 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A request with its constraint, or with why it can't have it."""

    request: Submit
    outcome: Constraint | Failure


class Compiler:
    """`deliver` is given each request's outcome, on another thread. All else is called from one thread. Requests of
    several scopes take turns; within one the shortest grammar goes first.
    """

    def __init__(self, tokens: Tokens, deliver: Callable[[Compiled], None]) -> None:
        self._tokens = tokens
        self._deliver = deliver
        self._pending: set[int] = set()
        self._turns: Turns[Submit] = Turns()
        self._changed = threading.Condition()
        with deep_stack():
            threading.Thread(target=self._run, name="compiler", daemon=True).start()

    def submit(self, request: Submit) -> None:
        """For a request that has a form."""
        assert request.form is not None
        self._pending.add(request.sequence)
        with self._changed:
            cost = len(request.form.grammar) + len(request.form.calls)
            self._turns.add(request.sequence, request.scope, cost, request)
            self._changed.notify()

    def release(self, sequence: int) -> bool:
        """Whether the sequence was waited for; its outcome is not waited for any more."""
        waited_for = sequence in self._pending
        self._pending.discard(sequence)
        with self._changed:
            self._turns.remove(sequence)
        return waited_for

    def _run(self) -> None:
        while True:
            with self._changed:
                while (request := self._turns.next()) is None:
                    self._changed.wait()
            self._compile(request)

    def _compile(self, request: Submit) -> None:
        try:
            outcome = constraint_of(self._tokens, request, lambda: request.sequence in self._pending)
        except NotWanted:
            return
        except Exception:
            log.exception("a format could not be compiled")
            outcome = Failure(request.sequence, "The format that was asked for can't be compiled.")
        self._deliver(Compiled(request, outcome))


@contextmanager
def deep_stack() -> Iterator[None]:
    """For threads that are started: the library recurses as deep as a schema nests."""
    before = threading.stack_size(STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(before)


def constraint_of(tokens: Tokens, request: Submit, is_wanted: Callable[[], bool]) -> Constraint | Failure:
    """Raises NotWanted where that is found out before it is made."""
    form, budget = request.form, request.max_tokens
    assert form is not None
    try:
        schemas = [schema for grammar in (form.grammar, form.calls) if grammar for schema in schemas_in(grammar)]
        check_weight(*schemas, most=MOST_WEIGHT_TOGETHER)
        with panics_refused():
            document = document_of(tokens, form, budget, is_wanted)
            return Either(document, Grammar(tokens, form.calls, budget, closes=False)) if form.calls else document
    except SchemaRefused as error:
        return Failure(request.sequence, error.message, form=True)


def document_of(tokens: Tokens, form: Form, budget: int, is_wanted: Callable[[], bool]) -> JsonObject | Grammar:
    if form.grammar == GRAMMAR:
        return JsonObject(tokens, budget)
    return Grammar(tokens, form.grammar, budget, closes=form.closes, leave=form.leave, is_wanted=is_wanted)
