"""Python's share of a step: the engine's work apart from the library's computation and the samplers."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.row import Row
from oruel.engine.engine import Engine
from oruel.engine.outbox import Outbox
from oruel.engine.protocol import StepOutput, Submit, frame
from oruel.engine.scheduler import StepLimits
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.sampling.sampler import Sampler
from oruel.types import SamplingParams

SHARE = 0.02


class Stopwatch:
    """Adds up the seconds that the wrapped functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def rows(name: str, path: Path, threads: int, streams: Sequence[int], steps: int) -> Iterator[Row]:
    """A row for each number of streams: Python vs. the whole step, in ms. Messages are built and dropped."""
    with Model(path) as model:
        for count in streams:
            python, whole = zip(*decode_steps(model, threads, count, steps), strict=True)
            yield Row(f"{name}, {count} streams: Python in a step vs. the step", "ms", python, whole, target=1 / SHARE)


def decode_steps(model: Model, threads: int, streams: int, steps: int) -> Iterator[tuple[float, float]]:
    """Yields (milliseconds of Python, milliseconds in all) of each step in which all streams decode."""
    watch = Stopwatch()
    with Context(model, window=256, sequences=max(2, streams), batch=480, threads=threads) as context:
        context._lib = TimedLibrary(context._lib, watch)
        engine = Engine(context, StepLimits(streams), vocabulary_size=model.vocabulary.size, is_end=lambda token: False)
        outbox = Outbox(frame_message)
        for number in range(streams):
            engine.submit(Submit(number, [number + 1, 5, 7], 0, 200, SamplingParams(temperature=0.7, top_k=40)), number)
        sample, Sampler.sample = Sampler.sample, watch.around(Sampler.sample)  # type: ignore[method-assign]  # timed during the run
        try:
            while engine.report().load.running < streams:
                engine.step()
            for _ in range(steps):
                watch.seconds, start = 0.0, time.perf_counter()
                outbox.post(engine.step())
                whole = time.perf_counter() - start
                yield 1000 * (whole - watch.seconds), 1000 * whole
        finally:
            Sampler.sample = sample  # type: ignore[method-assign]  # timed during the run


def frame_message(message: StepOutput) -> None:
    """Encodes a message, which the engine process would then write to its pipe."""
    frame(message)


class TimedLibrary:
    """The library, with its computing functions timed."""

    def __init__(self, library: Any, watch: Stopwatch) -> None:
        self._library = library
        self.llama_decode = watch.around(library.llama_decode)
        self.llama_get_logits = watch.around(library.llama_get_logits)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)
