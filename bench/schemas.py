"""Documents of schemas as people write them: the same requests to both servers, and to vLLM where it is installed."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from bench import vllm
from bench.load import Reply
from bench.row import Row
from bench.schema_answers import MAX_TOKENS, Answer, Outcome, ask, ask_for_text
from bench.schema_keywords import members_of
from bench.schema_kinds import Sample, schema_set
from bench.schema_steps import step_meter
from bench.servers import ServerProcess, Setting, llama_server, oruel_server
from oruel.errors import SchemaRefused
from tests.vllm.serve import demo_folder
from tests.vllm.vllm_process import MODEL

EACH = 6
CONTEXT = 1024
TEXTS = 6
# A large schema has as many members.
MANY = 40
# Answers of fewer tokens say little about what a token takes.
ENOUGH = 50


@dataclass(frozen=True, slots=True)
class Record:
    """What a server answered: to requests without a schema, and to each schema."""

    name: str
    free: list[Reply] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def free_first(self) -> float:
        """Seconds to the first token."""
        return median(reply.first for reply in self.free)

    @property
    def free_token(self) -> float:
        """Seconds of a further token."""
        return median(map(token_seconds, self.free))

    @property
    def documents(self) -> list[Reply]:
        return [answer.reply for answer in self.answers if answer.reply and answer.reply.chunks]


class Served:
    """A server, which is started again after a request that it doesn't survive."""

    def __init__(self, name: str, start: Callable[[], AbstractContextManager[ServerProcess]], model: str) -> None:
        self.record = Record(name)
        self._model, self._start = model, start
        self._stack = ExitStack()
        self._server = self._stack.enter_context(start())

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def ask_for_texts(self) -> None:
        asked = [ask_for_text(self._server.port, f"Write an essay, part {part}.", self._model) for part in range(TEXTS)]
        # The first warms the server up.
        self.record.free.extend(asked[1:])

    def ask(self, sample: Sample) -> None:
        answer = ask(self._server.port, sample, self._model)
        self.record.answers.append(answer)
        if not answer.is_alive:
            self._stack.close()
            self._server = self._stack.enter_context(self._start())


def rows(model: Path) -> Iterator[Row]:
    samples = schema_set(EACH)
    setting = Setting(model, threads=None, parallel=1, context=CONTEXT)
    with ExitStack() as stack:
        servers = [stack.enter_context(served) for served in all_servers(setting)]
        for served in servers:
            served.ask_for_texts()
        for place, sample in enumerate(samples):
            for served in servers if place % 2 else reversed(servers):
                served.ask(sample)
    records = [served.record for served in servers]
    print(f"{len(samples)} schemas, documents of at most {MAX_TOKENS} tokens:")
    for record in records:
        print("\n".join(described(record, samples)), flush=True)
    print(engine_costs(model, samples), flush=True)
    yield from compared(*records[:2])


def all_servers(setting: Setting) -> Iterator[Served]:
    yield Served("Oru'el", partial(oruel_server, setting), "bench")
    yield Served("llama.cpp's server", partial(llama_server, setting), "bench")
    environment = Path(os.environ.get("TEST_VLLM", vllm.ROOT / ".venv-vllm")).absolute()
    if (environment / "plugin.done").exists():
        yield Served("vLLM", partial(vllm.vllm_server, environment, demo_folder(environment)), MODEL)


def described(record: Record, samples: Sequence[Sample]) -> Iterator[str]:
    """How the answers ended, what they took, and each that isn't a valid document."""
    by_outcome: dict[Outcome, list[str]] = defaultdict(list)
    for sample, answer in zip(samples, record.answers, strict=True):
        by_outcome[answer.outcome].append(f"    {sample.name}: {answer.detail[:200]}")
    yield f"  {record.name}: {', '.join(f'{len(by_outcome[outcome])} {outcome}' for outcome in Outcome)}"
    documents = record.documents
    firsts = [1000 * (reply.first - record.free_first) for reply in documents]
    tokens = [1000 * (token_seconds(reply) - record.free_token) for reply in documents if reply.tokens >= ENOUGH]
    yield f"    the first token of a schema takes {spread(firsts, 1)} ms longer than that of free text"
    yield f"    a further token {spread(tokens, 2)} ms longer than the {1000 * record.free_token:.2f} ms of free text"
    for outcome in list(Outcome)[1:]:
        yield from [f"    {outcome}:", *by_outcome[outcome]] if by_outcome[outcome] else ()


def token_seconds(reply: Reply) -> float:
    return (reply.chunks[-1] - reply.first) / max(1, reply.tokens - 1)


def spread(values: Sequence[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} (median; most {max(values):,.{digits}f})" if values else "–"


def engine_costs(model: Path, samples: Sequence[Sample]) -> str:
    """What Oru'el's engine spends on a token over the plain step, in all schemas and in the large ones."""
    everywhere, large, compiled = list[float](), list[float](), list[float]()
    with step_meter(model) as meter:
        for sample in samples:
            try:
                costs = meter.measure(sample)
            except SchemaRefused:
                continue
            everywhere += costs.tokens
            compiled.append(1000 * costs.compiled)
            if members_of(sample.schema) >= MANY:
                large += costs.tokens
    return (
        f"  in Oru'el's engine, a token over the plain step: {quantiles(everywhere)}\n"
        f"    with schemas of {MANY} members or more: {quantiles(large)}; compiled in {spread(compiled, 0)} ms"
    )


def quantiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "–"
    middle, high = 1e6 * np.quantile(seconds, (0.5, 0.99))
    return f"{middle:,.0f} µs (median), {high:,.0f} µs (99%), of {len(seconds):,}"


def compared(ours: Record, theirs: Record) -> Iterator[Row]:
    """One value for each schema of which both wrote enough."""
    valid = [sum(one.outcome is Outcome.VALID for one in record.answers) for record in (ours, theirs)]
    name = f"{len(ours.answers)} schemas"
    if all(valid):
        yield Row(f"{name}: valid documents", "", valid[:1], valid[1:], larger_is_better=True, target=1.0)
    both = [
        (one.reply, other.reply)
        for one, other in zip(ours.answers, theirs.answers, strict=True)
        if one.reply and other.reply and min(one.reply.tokens, other.reply.tokens) >= ENOUGH
    ]
    if both:
        firsts, their_firsts = zip(*((1000 * one.first, 1000 * other.first) for one, other in both), strict=True)
        yield Row(f"{name}: the first token", "ms", firsts, their_firsts)
        times = ((1000 * token_seconds(one), 1000 * token_seconds(other)) for one, other in both)
        tokens, their_tokens = zip(*times, strict=True)
        yield Row(f"{name}: a further token", "ms", tokens, their_tokens, target=1.0)
