"""A conversation of ten turns, each with all previous messages: how long the user waits for first tokens."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat
from bench.prompts import Prompts
from bench.rounds import both_servers, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess, Setting

TURNS, QUESTION, ANSWER = 10, 100, 32


def rows(name: str, model: Path, threads: int, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=10)
    with both_servers(Setting(model, threads, parallel=2, context=4096)) as servers:
        ours, theirs = measure_in_turn(
            *servers, rounds, lambda server, _: 1000 * asyncio.run(total_wait(server, prompts))
        )
    yield Row(f"{name}, {TURNS} turns: all first tokens", "ms", ours, theirs)


async def total_wait(server: ServerProcess, prompts: Prompts) -> float:
    """Total seconds to first tokens. Replaces the answers by random text of equal length, the same for both servers."""
    contents: list[str] = []
    total = 0.0
    for _ in range(TURNS):
        contents.append(prompts.text(QUESTION))
        total += (await chat(server.port, prompts.body(*contents, max_tokens=ANSWER))).first
        contents.append(prompts.text(ANSWER))
    return total
