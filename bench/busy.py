"""One stream while another process keeps a core busy: which share of the idle machine's speed remains."""

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat
from bench.prompts import Prompts
from bench.rounds import both_servers, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess, Setting, run_process

NEIGHBOUR = [sys.executable, "-c", "while True: pass"]
SETTLE_SECONDS = 0.5


def rows(name: str, model: Path, answer: int, requests: int, rounds: int, *, goal: float) -> Iterator[Row]:
    """Sends `requests` requests in sequence, of `answer` tokens each. Both servers choose their threads: Oru'el
    measures, and llama.cpp's server uses one per core.
    """
    prompts = Prompts(model, seed=1)
    with both_servers(Setting(model, None, parallel=1, context=512)) as servers:
        idle = measure_in_turn(*servers, rounds, lambda server, _: speed(server, prompts, answer, requests))
        with run_process(NEIGHBOUR):
            time.sleep(SETTLE_SECONDS)
            busy = measure_in_turn(*servers, rounds, lambda server, _: speed(server, prompts, answer, requests))
        recovered, _ = measure_in_turn(*servers, rounds, lambda server, _: speed(server, prompts, answer, requests))
    kept = [[now / statistics.median(before) for now in side] for side, before in zip(busy, idle, strict=True)]
    yield Row(f"{name}, idle machine: throughput of one stream", "tokens/s", idle[0], idle[1], True)
    yield Row(f"{name}, one busy neighbour: throughput of one stream", "tokens/s", busy[0], busy[1], True, 1.0)
    yield Row(f"{name}, one busy neighbour: share of the idle speed", "", kept[0], kept[1], True, 1.0)
    yield Row(
        f"{name}, one busy neighbour: share of the idle speed, vs. the goal", "", kept[0], [goal] * rounds, True, 1.0
    )
    yield Row(f"{name}, after the neighbour exits: throughput, vs. before", "tokens/s", recovered, idle[0], True)


def speed(server: ServerProcess, prompts: Prompts, answer: int, requests: int) -> float:
    """Tokens per second, from the start of the first request to the end of the last."""
    start = time.perf_counter()
    tokens = sum(
        asyncio.run(chat(server.port, prompts.body(prompts.text(32), max_tokens=answer))).tokens
        for _ in range(requests)
    )
    return tokens / (time.perf_counter() - start)
