"""Streams that all begin at once: tokens a second, the wait for the first, the gaps, and what it took to compute."""

import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bench.load import together
from bench.prompts import Prompts
from bench.rounds import both, in_turn
from bench.row import Row
from bench.servers import Served, Setting
from bench.usage import taken


@dataclass(frozen=True, slots=True)
class Workload:
    """So many streams with prompts and answers of so many tokens each."""

    streams: int
    prompt: int
    answer: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Times in milliseconds, `cpu` in seconds for a thousand generated tokens, `memory` in MiB at its peak so far."""

    speed: float
    first: float
    first_p95: float
    gap: float
    gap_p99: float
    cpu: float
    memory: float


def rows(name: str, model: Path, threads: int, load: Workload, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=load.streams)
    setting = Setting(model, threads, load.streams, context=load.prompt + load.answer + 128)
    with both(setting) as servers:
        ours, theirs = in_turn(*servers, rounds, lambda server, _: measure(server, prompts, load))

    def row(quantity: str, unit: str, of: str, *, larger: bool = False, target: float | None = None) -> Row:
        our, their = ([getattr(one, of) for one in side] for side in (ours, theirs))
        return Row(f"{name}, {load.streams} streams: {quantity}", unit, our, their, larger, target)

    yield row("throughput", "tokens/s", "speed", larger=True, target=0.95 if load.streams == 1 else 1.0)
    yield row("first token, median", "ms", "first", target=1.0)
    yield row("first token, p95", "ms", "first_p95")
    yield row("between chunks, median", "ms", "gap")
    yield row("between chunks, p99", "ms", "gap_p99")
    yield row("CPU for 1,000 tokens", "s", "cpu")
    yield row("peak memory", "MiB", "memory")


def measure(server: Served, prompts: Prompts, load: Workload) -> Measured:
    bodies = [prompts.body(prompts.text(load.prompt), max_tokens=load.answer) for _ in range(load.streams)]
    before = taken(server.pid)
    replies = asyncio.run(together(server.port, bodies))
    after = taken(server.pid)
    tokens = sum(reply.tokens for reply in replies)
    if tokens != load.streams * load.answer:
        raise RuntimeError(f"{server.name} generated {tokens} tokens instead of {load.streams * load.answer}")
    firsts = [1000 * reply.first for reply in replies]
    gaps = [1000 * gap for gap in chain.from_iterable(reply.gaps for reply in replies)]
    return Measured(
        speed=tokens / max(reply.seconds for reply in replies),
        first=statistics.median(firsts),
        first_p95=quantile(firsts, 0.95),
        gap=statistics.median(gaps),
        gap_p99=quantile(gaps, 0.99),
        cpu=1000 * (after.cpu_seconds - before.cpu_seconds) / tokens,
        memory=after.peak_mib,
    )


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
