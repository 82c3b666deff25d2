"""Sixteen concurrent requests that share a prefix of a thousand tokens, which is new in each round."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat_concurrently
from bench.prompts import Prompts
from bench.rounds import both_servers, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess, Setting

REQUESTS, SHARED, OWN, ANSWER = 16, 1000, 20, 32


def rows(name: str, model: Path, threads: int, rounds: int) -> Iterator[Row]:
    prompts = Prompts(model, seed=16)
    with both_servers(Setting(model, threads, REQUESTS, context=SHARED + OWN + ANSWER + 228)) as servers:
        ours, theirs = measure_in_turn(*servers, rounds, lambda server, _: seconds(server, prompts))
    yield Row(f"{name}, {REQUESTS} requests with a shared prefix: all answered", "s", ours, theirs, target=6.0)


def seconds(server: ServerProcess, prompts: Prompts) -> float:
    shared = prompts.text(SHARED)
    bodies = [prompts.body(shared + prompts.text(OWN), max_tokens=ANSWER) for _ in range(REQUESTS)]
    return max(reply.seconds for reply in asyncio.run(chat_concurrently(server.port, bodies)))
