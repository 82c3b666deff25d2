"""A turbo and a standard request arrive together while 32 standard streams run and 8 wait."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat
from bench.prompts import Prompts
from bench.row import Row
from bench.servers import ServerProcess, Setting, oruel_server

RUNNING, WAITING = 32, 8


def rows(name: str, model: Path, threads: int, answer: int, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=32)
    with oruel_server(Setting(model, threads, RUNNING)) as server:
        waits = [asyncio.run(first_tokens(server, prompts, answer)) for _ in range(rounds + 1)][1:]
    turbo, standard = zip(*waits, strict=True)
    yield Row(
        f"{name}, {RUNNING} run and {WAITING} wait: first token, turbo vs. standard",
        "ms",
        turbo,
        standard,
        target=4.0,
    )


async def first_tokens(server: ServerProcess, prompts: Prompts, answer: int) -> tuple[float, float]:
    """Milliseconds to the first token, (turbo, standard)."""
    bodies = [prompts.body(prompts.text(64), max_tokens=answer) for _ in range(RUNNING + WAITING)]
    busy = [asyncio.create_task(chat(server.port, body)) for body in bodies]
    await asyncio.sleep(0.5)
    tiers = [prompts.body(prompts.text(64), max_tokens=8, tier=tier) for tier in ("turbo", "standard")]
    turbo, standard = await asyncio.gather(*(chat(server.port, body) for body in tiers))
    await asyncio.gather(*busy)
    return 1000 * turbo.first, 1000 * standard.first
