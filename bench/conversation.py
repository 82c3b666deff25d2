"""A conversation of ten turns, each with all that was said before: how long a user waits for first tokens."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat
from bench.prompts import Prompts
from bench.rounds import both, in_turn
from bench.row import Row
from bench.servers import Served, Setting

TURNS, QUESTION, ANSWER = 10, 100, 32


def rows(name: str, model: Path, threads: int, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=10)
    with both(Setting(model, threads, parallel=2, context=4096)) as servers:
        ours, theirs = in_turn(*servers, rounds, lambda server, _: 1000 * asyncio.run(waits(server, prompts)))
    yield Row(f"{name}, {TURNS} turns: all first tokens", "ms", ours, theirs)


async def waits(server: Served, prompts: Prompts) -> float:
    """Seconds. What the model said is replaced by other text of its length, the same for both servers."""
    said: list[str] = []
    total = 0.0
    for _ in range(TURNS):
        said.append(prompts.text(QUESTION))
        total += (await chat(server.port, prompts.body(*said, max_tokens=ANSWER))).first
        said.append(prompts.text(ANSWER))
    return total
