"""Sixteen cold requests at once that begin with the same thousand tokens; every round has another beginning."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bench.load import together
from bench.prompts import Prompts
from bench.rounds import both, in_turn
from bench.row import Row
from bench.servers import Served, Setting

REQUESTS, SHARED, OWN, ANSWER = 16, 1000, 20, 32


def rows(name: str, model: Path, threads: int, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=16)
    with both(Setting(model, threads, REQUESTS, context=SHARED + OWN + ANSWER + 228)) as servers:
        ours, theirs = in_turn(*servers, rounds, lambda server, _: seconds(server, prompts))
    yield Row(f"{name}, {REQUESTS} requests with a shared prefix: all answered", "s", ours, theirs, target=6.0)


def seconds(server: Served, prompts: Prompts) -> float:
    shared = prompts.text(SHARED)
    bodies = [prompts.body(shared + prompts.text(OWN), max_tokens=ANSWER) for _ in range(REQUESTS)]
    return max(reply.seconds for reply in asyncio.run(together(server.port, bodies)))
