"""The cost of reproducibility: seeded vs. unseeded requests, on the endpoint only."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat_concurrently
from bench.prompts import Prompts
from bench.row import Row
from bench.servers import ServerProcess, Setting, oruel_server


def rows(name: str, model: Path, threads: int, streams: int, answer: int, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=streams)
    with oruel_server(Setting(model, threads, streams)) as server:
        speeds = [measure(server, prompts, streams, answer, round_) for round_ in range(rounds + 1)][1:]
    seeded, unseeded = zip(*speeds, strict=True)
    yield Row(f"{name}, {streams} streams: seeded vs. unseeded", "tokens/s", seeded, unseeded, larger_is_better=True)


def measure(server: ServerProcess, prompts: Prompts, streams: int, answer: int, round_: int) -> tuple[float, float]:
    """Tokens per second, (seeded, unseeded). The order alternates between rounds."""
    speeds: dict[bool, float] = {}
    for is_seeded in (True, False) if round_ % 2 else (False, True):
        seed = {"seed": round_} if is_seeded else {}
        bodies = [prompts.body(prompts.text(128), max_tokens=answer, **seed) for _ in range(streams)]
        replies = asyncio.run(chat_concurrently(server.port, bodies))
        speeds[is_seeded] = streams * answer / max(reply.seconds for reply in replies)
    return speeds[True], speeds[False]
