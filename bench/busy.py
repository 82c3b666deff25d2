"""One stream while another process computes on one of the cores: how much of the idle machine's speed is left."""

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import chat
from bench.prompts import Prompts
from bench.rounds import both, in_turn
from bench.row import Row
from bench.servers import Served, Setting, running

NEIGHBOUR = [sys.executable, "-c", "while True: pass"]
SETTLE_SECONDS = 0.5


def rows(name: str, model: Path, answer: int, requests: int, rounds: int, *, goal: float) -> Iterator[Row]:
    """So many requests one after the other, of `answer` tokens each. Both servers choose their own threads: Oru'el
    measures, llama.cpp's has one for each core.
    """
    prompts = Prompts(model, seed=1)
    with both(Setting(model, None, parallel=1, context=512)) as servers:
        idle = in_turn(*servers, rounds, lambda server, _: speed(server, prompts, answer, requests))
        with running(NEIGHBOUR):
            time.sleep(SETTLE_SECONDS)
            busy = in_turn(*servers, rounds, lambda server, _: speed(server, prompts, answer, requests))
        recovered, _ = in_turn(*servers, rounds, lambda server, _: speed(server, prompts, answer, requests))
    kept = [[now / statistics.median(before) for now in side] for side, before in zip(busy, idle, strict=True)]
    yield Row(f"{name}, idle machine: throughput of one stream", "tokens/s", idle[0], idle[1], True)
    yield Row(f"{name}, one busy neighbour: throughput of one stream", "tokens/s", busy[0], busy[1], True, 1.0)
    yield Row(f"{name}, one busy neighbour: share of the idle speed", "", kept[0], kept[1], True, 1.0)
    yield Row(
        f"{name}, one busy neighbour: share of the idle speed, and the goal", "", kept[0], [goal] * rounds, True, 1.0
    )
    yield Row(f"{name}, after the neighbour left: throughput, and before", "tokens/s", recovered, idle[0], True)


def speed(server: Served, prompts: Prompts, answer: int, requests: int) -> float:
    """Tokens a second, from the first request's start to the last one's end."""
    start = time.perf_counter()
    tokens = sum(
        asyncio.run(chat(server.port, prompts.body(prompts.text(32), max_tokens=answer))).tokens
        for _ in range(requests)
    )
    return tokens / (time.perf_counter() - start)
