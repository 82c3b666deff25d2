"""A context that adjusts its number of threads between steps, depending on how long the steps take."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.engine.idle_cores import IdleCores
from oruel.engine.threads import ThreadController, shape_of, thread_counts

# At the start, each count is measured on single tokens, as a lone stream decodes them.
MEASURED_STEPS, MEASURED_SECONDS = 12, 0.25


class ThreadedContext(Protocol):
    """A DecodeContext whose number of threads can be set, such as llama.context.Context."""

    @property
    def window(self) -> int: ...

    @property
    def sequences(self) -> int: ...

    threads: int

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequence_ids: Sequence[int], outputs: Sequence[bool]
    ) -> NDArray[np.float32]: ...

    def copy(self, source: int, target: int) -> None: ...

    def forget(self, sequence_id: int, from_position: int = 0) -> None: ...


class AdaptiveContext:
    """Wraps `context` and is its only user. The bits of a reproducible step don't depend on the number of threads."""

    def __init__(self, context: ThreadedContext, cores: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._context = context
        self._counts = thread_counts(cores)
        self._controller = ThreadController(self._counts, IdleCores())
        self._clock = clock
        self.window = context.window
        self.sequences = context.sequences
        self.copy = context.copy
        self.forget = context.forget

    @property
    def threads(self) -> int:
        return self._context.threads

    def measure(self, token: int) -> None:
        """Chooses the initial number of threads by timing single steps with `token`. All cells have to be empty."""
        for threads in self._counts:
            self._context.threads = threads
            start = self._clock()
            for position in range(min(MEASURED_STEPS, self.window)):
                before = self._clock()
                self._context.decode([token], [position], [0], [True])
                now = self._clock()
                if position > 0:  # The first one wakes the threads up.
                    self._controller.record_measurement(threads, shape_of(1, position), now - before)
                if position > 1 and now - start > MEASURED_SECONDS:
                    break
            self._context.forget(0)
        self._controller.choose(shape_of(1, 0))
        self._context.threads = self._controller.threads

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequence_ids: Sequence[int], outputs: Sequence[bool]
    ) -> NDArray[np.float32]:
        before = self._clock()
        logits = self._context.decode(tokens, positions, sequence_ids, outputs)
        now = self._clock()
        self._controller.record(shape_of(len(tokens), sum(positions)), now - before, now)
        if self._controller.threads != self._context.threads:
            self._context.threads = self._controller.threads
        return logits
