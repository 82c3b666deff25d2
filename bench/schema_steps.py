"""What a schema costs a step of the engine: its time without the model's computation, less the same of free text. It is
measured in this process, since tokens reach clients several at a time.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.prompts import SAMPLING
from bench.schema_answers import MAX_TOKENS, prompt_text
from bench.schema_kinds import SEED, Sample
from oruel.constraints.spec import SchemaSpec, schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.engine.compiler import compile_request
from oruel.engine.engine import Engine
from oruel.engine.protocol import SequenceFailed, Submit
from oruel.engine.scheduler import StepLimits
from oruel.errors import SchemaRefused
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.sampling.constraint import Constraint
from oruel.text.tokenizer import Tokenizer
from oruel.types import Message, SamplingParams

PARAMS = msgspec.convert({**SAMPLING, "seed": SEED}, SamplingParams)
WINDOW = 1024
FREE_TEXTS = 20


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Seconds: of each token that the model had a choice for, over the plain step, and of the compilation."""

    tokens: list[float]
    compiled: float


class TimedContext:
    """A context that adds up the CPU time of this thread in `decode`."""

    def __init__(self, context: Context) -> None:
        self.seconds = 0.0
        self.window, self.sequences, self.threads = context.window, context.sequences, context.threads
        self.copy, self.forget = context.copy, context.forget
        self._context = context

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequence_ids: Sequence[int], outputs: Sequence[bool]
    ) -> NDArray[np.float32]:
        start = time.thread_time()
        try:
            return self._context.decode(tokens, positions, sequence_ids, outputs)
        finally:
            self.seconds += time.thread_time() - start


class StepMeter:
    """An engine with one sequence at a time."""

    def __init__(self, model: Model, context: TimedContext) -> None:
        self._tokens = TokenTable(model.vocabulary)
        self._tokens.prepare()
        self._tokenizer = Tokenizer(model.vocabulary, model.chat_template)
        self._context = context
        self._engine = Engine(
            context, StepLimits(1), vocabulary_size=model.vocabulary.size, is_end=model.vocabulary.is_end
        )
        self._submitted = 0
        free = [self._times(self._request(f"Write an essay, part {part}.", None)) for part in range(FREE_TEXTS)]
        self.plain_step = median(step for times in free[1:] for step in times)

    def measure(self, sample: Sample) -> StepCosts:
        """Raises SchemaRefused for a schema that the engine can't compile."""
        request = self._request(prompt_text(sample), schema_spec(sample.schema))
        start = time.thread_time()
        constraint = self._compile(request)
        compiled = time.thread_time() - start
        return StepCosts([seconds - self.plain_step for seconds in self._times(request, constraint)], compiled)

    def _request(self, text: str, spec: SchemaSpec | None) -> Submit:
        self._submitted += 1
        prompt = self._tokenizer.encode_messages([Message("user", text)], {})
        return Submit(self._submitted, prompt, 0, MAX_TOKENS, PARAMS, constraint=spec)

    def _compile(self, request: Submit) -> Constraint:
        work = compile_request(self._tokens, request, WINDOW)
        while True:
            try:
                next(work)
            except StopIteration as ended:
                if isinstance(ended.value, SequenceFailed):
                    raise SchemaRefused(ended.value.message) from ended
                constraint: Constraint = ended.value
                return constraint

    def _times(self, request: Submit, constraint: Constraint | None = None) -> list[float]:
        """The CPU time of each token without the model's computation: of all steps until it is decided, and of the
        tokens that are forced after it. The first one's is not included: it comes with the prompt.
        """
        self._engine.submit(request, 0.0, constraint)
        times, spent = [], 0.0
        while self._engine.has_work:
            before = self._context.seconds
            start = time.thread_time()
            output = self._engine.step()
            spent += time.thread_time() - start - (self._context.seconds - before)
            if output.tokens:
                times.append(spent)
                spent = 0.0
        return times[1:]


@contextmanager
def step_meter(path: Path) -> Iterator[StepMeter]:
    """With one thread: what is measured isn't computed by the library."""
    with (
        Model(path) as model,
        Context(model, window=WINDOW, sequences=2, batch=480, threads=1) as context,
    ):
        yield StepMeter(model, TimedContext(context))
