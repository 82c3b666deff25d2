"""The longest pause of eight running streams when a prompt of 4,000 tokens arrives."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import Reply, chat
from bench.prompts import Prompts
from bench.rounds import both_servers, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess, Setting

STREAMS, ARRIVING = 8, 4000


def rows(name: str, model: Path, threads: int, answer: int, rounds: int) -> Iterator[Row]:
    """Each stream generates `answer` tokens, which must be enough to outlast the computation of the prompt."""
    prompts = Prompts(model, seed=4000)
    with both_servers(Setting(model, threads, STREAMS + 1, context=ARRIVING + 256)) as servers:
        ours, theirs = measure_in_turn(
            *servers, rounds, lambda server, _: 1000 * asyncio.run(longest_pause(server, prompts, answer))
        )
    yield Row(f"{name}, a prompt of {ARRIVING} tokens during {STREAMS} streams: pause", "ms", ours, theirs, target=2.0)


async def longest_pause(server: ServerProcess, prompts: Prompts, answer: int) -> float:
    """The longest gap of each stream after the prompt arrived, in seconds: the median over the streams."""
    start = time.perf_counter()
    bodies = [prompts.body(prompts.text(64), max_tokens=answer) for _ in range(STREAMS)]
    running = [asyncio.create_task(chat(server.port, body)) for body in bodies]
    await asyncio.sleep(0.5)
    arrived = time.perf_counter() - start
    await chat(server.port, prompts.body(prompts.text(ARRIVING), max_tokens=1))
    if all(stream.done() for stream in running):
        raise RuntimeError("the streams ended before the prompt was computed; increase `answer`")
    return statistics.median([longest_gap(await stream, arrived) for stream in running])


def longest_gap(reply: Reply, after: float) -> float:
    pairs = zip(reply.chunks, reply.chunks[1:], strict=False)
    return max((later - earlier for earlier, later in pairs if later > after), default=0.0)
