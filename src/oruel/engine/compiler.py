"""Grammars become constraints beside the engine's loop: a hostile one may take a second, for which no stream waits."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from oruel.constraints.either import Either
from oruel.constraints.grammar import Grammar
from oruel.constraints.json_object import GRAMMAR, JsonObject
from oruel.constraints.tokens import Tokens, panics_refused
from oruel.engine.protocol import Failure, Form, Submit
from oruel.errors import SchemaRefused
from oruel.sampling.mask import Constraint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A request with its constraint, or with why it can't have it."""

    request: Submit
    outcome: Constraint | Failure


class Compiler:
    """`deliver` is given each request's outcome, on another thread. All else is called from one thread."""

    def __init__(self, tokens: Tokens, deliver: Callable[[Compiled], None]) -> None:
        self._tokens = tokens
        self._deliver = deliver
        self._pending: set[int] = set()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compiler")

    def submit(self, request: Submit) -> None:
        """For a request that has a form."""
        self._pending.add(request.sequence)
        self._pool.submit(self._compile, request)

    def release(self, sequence: int) -> bool:
        """Whether the sequence was waited for; its outcome is not waited for any more."""
        waited_for = sequence in self._pending
        self._pending.discard(sequence)
        return waited_for

    def _compile(self, request: Submit) -> None:
        if request.sequence not in self._pending:
            return
        try:
            outcome = constraint_of(self._tokens, request)
        except Exception:
            log.exception("a format could not be compiled")
            outcome = Failure(request.sequence, "The format that was asked for can't be compiled.")
        self._deliver(Compiled(request, outcome))


def constraint_of(tokens: Tokens, request: Submit) -> Constraint | Failure:
    form, budget = request.form, request.max_tokens
    assert form is not None
    try:
        with panics_refused():
            document = document_of(tokens, form, budget)
            return Either(document, Grammar(tokens, form.calls, budget, closes=False)) if form.calls else document
    except SchemaRefused as error:
        return Failure(request.sequence, error.message, form=True)


def document_of(tokens: Tokens, form: Form, budget: int) -> JsonObject | Grammar:
    if form.grammar == GRAMMAR:
        return JsonObject(tokens, budget)
    return Grammar(tokens, form.grammar, budget, closes=form.closes, leave=form.leave)
