"""How long the plugin's constraints take: to compile, to prepare the next step while the model computes, and to enforce
the token budget while the step waits.

python -m bench.plugin_constraints
"""

import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from oruel_vllm.constrained_row import accept, enforce_limits, prepare
from oruel_vllm.constraint_threads import ConstraintThreads

from bench import models
from bench.documents import PERSON, adversarial_schema
from oruel.constraints.spec import ConstraintSpec, JsonObjectSpec, schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.engine.vllm.wire import RowRequest
from oruel.llama.model import Model
from oruel.sampling.constraint import Constraint
from oruel.types import SamplingParams

DEMO = Path(__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf"
DOCUMENTS, BUDGET = 6, 300
SPECS: dict[str, ConstraintSpec] = {
    "a JSON object": JsonObjectSpec(),
    "nine-property schema": schema_spec(PERSON),
    "adversarial schema": schema_spec(adversarial_schema(0)),
}


@dataclass
class Costs:
    """Seconds: `started` from the request to the first mask, on other threads; `prepared` and `enforced` for a token,
    as CPU time.
    """

    started: list[float] = field(default_factory=list)
    prepared: list[float] = field(default_factory=list)
    enforced: list[float] = field(default_factory=list)


def main() -> None:
    for path in (DEMO, models.wide_model()):
        with Model(path, vocabulary_only=True) as model:
            tokens = TokenTable(model.vocabulary)
            tokens.prepare()
            threads = ConstraintThreads(tokens, BUDGET)
            for name, spec in SPECS.items():
                print(f"{tokens.size:,} tokens, {name}: {described(measure(threads, tokens, spec))}", flush=True)
            threads.stop()


def measure(threads: ConstraintThreads, tokens: TokenTable, spec: ConstraintSpec) -> Costs:
    costs = Costs()
    for seed in range(DOCUMENTS):
        write(threads, tokens, spec, random.Random(seed), costs)
    return costs


def write(
    threads: ConstraintThreads, tokens: TokenTable, spec: ConstraintSpec, chooser: random.Random, costs: Costs
) -> None:
    """A document of random tokens, which need the most searches for a way to close it."""
    ends = sorted(tokens.ends)
    request = RowRequest(
        engine="", choice=0, sampling=SamplingParams(), constraint=spec, end_tokens=ends, mark=0, max_tokens=BUDGET,
        prompt_tokens=1,
    )  # fmt: skip
    start = time.perf_counter()
    constraint: Constraint = threads.start(request, lambda made: made).result()
    step = prepare(constraint)
    costs.started.append(time.perf_counter() - start)
    for _ in range(BUDGET):
        if step.marks:
            return
        if step.forced is None:
            assert step.mask is not None
            allowed = np.flatnonzero(np.unpackbits(step.mask, bitorder="little", count=tokens.size))
            start = time.thread_time()
            token = enforce_limits(constraint, int(chooser.choice(allowed)))
            costs.enforced.append(time.thread_time() - start)
        else:
            token = step.forced
        if token in ends:
            return
        start = time.thread_time()
        accept(constraint, token, ends)
        step = prepare(constraint)
        costs.prepared.append(time.thread_time() - start)


def described(costs: Costs) -> str:
    first, *later = (1000 * seconds for seconds in costs.started)
    return (
        f"compiled in {first:.0f} ms, then {statistics.median(later):.1f} ms; a step prepared in "
        f"{spread(costs.prepared)}, enforced in {spread(costs.enforced)}"
    )


def spread(seconds: list[float]) -> str:
    times = sorted(1e6 * one for one in seconds)
    return f"{statistics.median(times):.0f} µs (99%: {times[int(0.99 * len(times))]:.0f}, most {times[-1]:.0f})"


if __name__ == "__main__":
    main()
