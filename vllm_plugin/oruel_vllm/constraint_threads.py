"""Threads that compile constraints and compute what they allow, while the model computes."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from oruel.constraints.tokens import TokenTable
from oruel.engine.compiler import CompiledRequest, GrammarCompiler, deep_stack
from oruel.engine.protocol import SequenceFailed, Submit
from oruel.engine.vllm.wire import RowRequest
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import Constraint
from oruel_vllm.closing_memory import ClosingMemory

THREADS = 4

Result = TypeVar("Result")


class ConstraintThreads:
    """`window`: the maximum length of a sequence in tokens. `patience`: how many seconds a step waits for a constraint;
    None for as long as it takes.
    """

    def __init__(self, tokens: TokenTable, window: int, patience: float | None = None) -> None:
        self.patience = patience
        self.closings = ClosingMemory()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, Callable[[CompiledRequest], None]] = {}
        self._compiling: dict[int, int] = {}
        self._compiler = GrammarCompiler(tokens, self._deliver, window)
        self._pool = ThreadPoolExecutor(THREADS, "constraints")
        with deep_stack():
            # A pool starts a thread whenever none is idle.
            barrier = threading.Barrier(THREADS)
            list(self._pool.map(lambda _: barrier.wait(), range(THREADS)))

    def start(self, request: RowRequest, use: Callable[[Constraint], Result]) -> Future[Result]:
        """Compiles a row's constraint and calls `use` with it, on other threads. The result may be SchemaRefused."""
        result: Future[Result] = Future()

        def compiled(answer: CompiledRequest) -> None:
            if isinstance(answer.outcome, SequenceFailed):
                result.set_exception(SchemaRefused(answer.outcome.message))
            else:
                self._pool.submit(use, answer.outcome).add_done_callback(partial(pass_on, result))

        number = next(self._numbers)
        with self._lock:
            self._waiting[number] = compiled
            self._compiling[id(request)] = number
        self._compiler.submit(
            Submit(
                sequence=number,
                prompt=[],
                choice=request.choice,
                max_tokens=request.max_tokens,
                sampling=request.sampling,
                cache_salt=request.cache_salt,
                constraint=request.constraint,
            )
        )
        return result

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """The result may be SchemaRefused."""
        return self._pool.submit(work)

    def release(self, request: RowRequest) -> None:
        """Stops compiling the constraint of a row that has left."""
        with self._lock:
            number = self._compiling.pop(id(request), None)
            if number is not None:
                self._waiting.pop(number, None)
                self._compiler.release(number)

    def stop(self) -> None:
        self._pool.shutdown()

    def _deliver(self, answer: CompiledRequest) -> None:
        with self._lock:
            use = self._waiting.pop(answer.request.sequence, None)
        if use:
            use(answer)


def pass_on(result: Future[Result], done: Future[Result]) -> None:
    error = done.exception()
    if error:
        result.set_exception(error)
    else:
        result.set_result(done.result())
