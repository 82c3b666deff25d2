"""Streams that all start at once: tokens per second, time to the first token, gaps, CPU time and memory."""

import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bench.load import chat_concurrently
from bench.prompts import Prompts
from bench.rounds import both_servers, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess, Setting
from bench.usage import read_usage


@dataclass(frozen=True, slots=True)
class Workload:
    """Concurrent streams, with prompts and answers of a fixed number of tokens."""

    streams: int
    prompt: int
    answer: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Times are in milliseconds, `cpu` in seconds per thousand generated tokens, `memory` is the peak so far in MiB."""

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
    with both_servers(setting) as servers:
        ours, theirs = measure_in_turn(*servers, rounds, lambda server, _: measure(server, prompts, load))

    def row(quantity: str, unit: str, field: str, *, larger: bool = False, target: float | None = None) -> Row:
        our, their = ([getattr(one, field) for one in side] for side in (ours, theirs))
        return Row(f"{name}, {load.streams} streams: {quantity}", unit, our, their, larger, target)

    yield row("throughput", "tokens/s", "speed", larger=True, target=0.95 if load.streams == 1 else 1.0)
    yield row("first token, median", "ms", "first", target=1.0)
    yield row("first token, p95", "ms", "first_p95")
    yield row("between chunks, median", "ms", "gap")
    yield row("between chunks, p99", "ms", "gap_p99")
    yield row("CPU per 1,000 tokens", "s", "cpu")
    yield row("peak memory", "MiB", "memory")


def measure(server: ServerProcess, prompts: Prompts, load: Workload) -> Measurement:
    bodies = [prompts.body(prompts.text(load.prompt), max_tokens=load.answer) for _ in range(load.streams)]
    before = read_usage(server.pid)
    replies = asyncio.run(chat_concurrently(server.port, bodies))
    after = read_usage(server.pid)
    tokens = sum(reply.tokens for reply in replies)
    if tokens != load.streams * load.answer:
        raise RuntimeError(f"{server.name} generated {tokens} tokens instead of {load.streams * load.answer}")
    firsts = [1000 * reply.first for reply in replies]
    gaps = [1000 * gap for gap in chain.from_iterable(reply.gaps for reply in replies)]
    return Measurement(
        speed=tokens / max(reply.seconds for reply in replies),
        first=statistics.median(firsts),
        first_p95=quantile(firsts, 0.95),
        gap=statistics.median(gaps),
        gap_p99=quantile(gaps, 0.99),
        cpu=1000 * (after.cpu_seconds - before.cpu_seconds) / tokens,
        memory=after.peak_mib,
    )


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
