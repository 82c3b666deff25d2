"""What a schema costs in the engine, without a model: the CPU time of a constraint's calls for a token, and whether the
document ends in its budget.

python -m bench.schema_cost [--each 6] [--budget 700] [--only ultra config-1] [--schema FILE]
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.schema_answers import Outcome, outcome_of
from bench.schema_kinds import SEED, Sample, schema_set
from oruel.constraints.closing.first_end import left_out_of_document
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.errors import SchemaRefused
from oruel.llama.model import Model
from oruel.sampling.constraint import REFUSED
from oruel.vocabulary.base import Vocabulary

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "src" / "oruel" / "models" / "oruel-demo.gguf"
BUDGET = 700
CALLS = ("forced", "mask", "enforce_limits", "accept")
# What a token that never stands in the texts weighs beside one that stands there once.
UNSEEN = 0.02
T = TypeVar("T")


@dataclass
class Cost:
    """CPU seconds. `steps` is what all calls between two steps of the model take; `calls` has each of them by name.
    `named`: the keywords that Oru'el says it doesn't hold.
    """

    examined: float = 0.0
    compiled: float = 0.0
    steps: list[float] = field(default_factory=list)
    calls: dict[str, list[float]] = field(default_factory=lambda: {call: [] for call in CALLS})
    tokens: int = 0
    is_closing: bool = False
    named: tuple[str, ...] = ()
    outcome: Outcome = Outcome.ERROR
    detail: str = ""


class Writer:
    """Chooses among the allowed tokens as often as each stands in English and in JSON, half and half."""

    def __init__(self, tokens: TokenTable, vocabulary: Vocabulary) -> None:
        prose = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
        documents = [json.dumps(sample.example) for sample in schema_set(4)]
        self._logits = np.log(sum(shares(tokens.size, vocabulary, texts) for texts in (prose, documents)))
        self._size = tokens.size

    def begin(self, seed: str) -> None:
        self._random = np.random.default_rng(list(seed.encode()))

    def choose(self, bits: NDArray[np.uint8]) -> int:
        allowed = np.unpackbits(bits, count=self._size, bitorder="little").nonzero()[0]
        return int(allowed[np.argmax(self._logits[allowed] + self._random.gumbel(size=len(allowed)))])


def shares(size: int, vocabulary: Vocabulary, texts: Sequence[str]) -> NDArray[np.float64]:
    """How often each token stands in the texts, of 1 in all."""
    counts = np.full(size, UNSEEN)
    for text in texts:
        np.add.at(counts, vocabulary.tokenize(text), 1)
    total: float = counts.sum()
    return counts / total


class Run:
    """One document, written as the engine does: after each chosen token all tokens that the grammar forces follow."""

    def __init__(self, tokens: TokenTable, writer: Writer, budget: int) -> None:
        self._tokens, self._writer, self._budget = tokens, writer, budget
        self._cost = Cost()
        self._written: list[int] = []
        self._step = 0.0

    def measure(self, sample: Sample) -> Cost:
        cost = self._cost
        try:
            cost.examined, (cost.named, _) = timed(lambda: left_out_of_document(sample.schema))
            cost.compiled, constraint = timed(
                lambda: GrammarConstraint(self._tokens, schema_spec(sample.schema), self._budget)
            )
        except SchemaRefused as error:
            cost.outcome, cost.detail = Outcome.REFUSED, error.message
            return cost
        try:
            self._write(constraint)
        except SchemaRefused as error:
            cost.outcome, cost.detail = Outcome.ERROR, error.message
            return cost
        cost.tokens, cost.is_closing = len(self._written), constraint.is_closing
        text = b"".join(self._tokens.pieces[token] for token in self._written).decode(errors="replace")
        cost.outcome, cost.detail = outcome_of(sample, text, cost.named)
        return cost

    def _write(self, constraint: GrammarConstraint) -> None:
        while not constraint.is_complete and len(self._written) < self._budget:
            self._step = 0.0
            if forced := self._call("forced", lambda: constraint.forced):
                token = forced[0]
            else:
                token = REFUSED
                while token == REFUSED:
                    choice = self._writer.choose(self._call("mask", constraint.mask))
                    token = self._call("enforce_limits", partial(constraint.enforce_limits, choice))
            if not self._accept(constraint, token):
                return
            for token in self._call("forced", lambda: constraint.forced)[: self._budget - len(self._written)]:
                self._accept(constraint, token)
            self._cost.steps.append(self._step)

    def _accept(self, constraint: GrammarConstraint, token: int) -> bool:
        if token in self._tokens.ends:
            return False
        self._call("accept", partial(constraint.accept, token))
        self._written.append(token)
        return True

    def _call(self, name: str, call: Callable[[], T]) -> T:
        seconds, result = timed(call)
        self._cost.calls[name].append(seconds)
        self._step += seconds
        return result


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """The CPU time of the call in this thread, which other processes disturb least."""
    start = time.thread_time()
    result = call()
    return time.thread_time() - start, result


def main() -> None:
    options = parse_options()
    samples = list(chosen(options))
    with Model(options.model, vocabulary_only=True) as model:
        tokens = TokenTable(model.vocabulary)
        tokens.prepare()
        writer = Writer(tokens, model.vocabulary)
        print(HEADER, flush=True)
        costs = []
        for sample in samples:
            writer.begin(f"{options.seed} {sample.name}")
            costs.append(Run(tokens, writer, options.budget).measure(sample))
            print(line(sample.name, len(json.dumps(sample.schema)), costs[-1]), flush=True)
    report(costs)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.schema_cost", description=__doc__)
    parser.add_argument("--each", type=int, default=6, help="schemas of each of the ten kinds")
    parser.add_argument("--only", nargs="+", default=[""], help="the beginnings of the schemas' names")
    parser.add_argument("--schema", type=Path, help="a file with one schema, instead of those")
    parser.add_argument("--budget", type=int, default=BUDGET, help="tokens of a document")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--model", type=Path, default=DEMO, help="a GGUF file, of which only the vocabulary is read")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> Iterator[Sample]:
    if options.schema:
        yield Sample(options.schema.stem, json.loads(options.schema.read_text()), {})
        return
    for sample in schema_set(options.each, options.seed):
        if sample.name.startswith(tuple(options.only)):
            yield sample


HEADER = (
    f"{'schema':14}{'chars':>7}{'tokens':>7}{'steps':>6}  {'examine':>8}{'compile':>8}  "
    f"{'a step, µs: median, 99%, most':>30}  {'forced':>12}{'mask':>12}{'enforce':>12}{'accept':>12}  ending"
)


def line(name: str, characters: int, cost: Cost) -> str:
    calls = "".join(f"{spread(cost.calls[call]):>12}" for call in CALLS)
    most = 1e6 * max(cost.steps, default=0)
    ending = f"{cost.outcome}{': ' if cost.detail else ''}{cost.detail}{' (closed)' if cost.is_closing else ''}"
    named = f"; left out: {', '.join(cost.named)}" if cost.named else ""
    return (
        f"{name:14}{characters:7,}{cost.tokens:7}{len(cost.steps):6}  "
        f"{1000 * cost.examined:5.0f} ms{1000 * cost.compiled:5.0f} ms  "
        f"{spread(cost.steps):>20}{most:>10,.0f}  {calls}  {ending}{named}"
    )


def spread(seconds: Sequence[float]) -> str:
    """The median and the 99th percentile, in microseconds."""
    if not seconds:
        return "–"
    median, high = np.quantile(seconds, (0.5, 0.99)) * 1e6
    return f"{median:,.0f} {high:,.0f}"


def report(costs: Sequence[Cost]) -> None:
    steps = [step for cost in costs for step in cost.steps]
    print(f"all steps: {spread(steps)} µs (median and 99%), most {1e6 * max(steps, default=0):,.0f} µs")
    for call in CALLS:
        print(f"  {call}: {spread([one for cost in costs for one in cost.calls[call]])} µs")
    compiled = sorted(1000 * (cost.examined + cost.compiled) for cost in costs)
    print(f"compiled in {compiled[len(compiled) // 2]:,.0f} ms (median), at most {compiled[-1]:,.0f} ms")
    counts = Counter(cost.outcome for cost in costs)
    print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))


if __name__ == "__main__":
    main()
