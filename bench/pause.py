"""A prompt of 4,000 tokens arrives while eight streams run: the longest pause that it causes in them."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import Reply, chat
from bench.prompts import Prompts
from bench.rounds import both, in_turn
from bench.row import Row
from bench.servers import Served, Setting

STREAMS, ARRIVING = 8, 4000


def rows(name: str, model: Path, threads: int, answer: int, rounds: int) -> Iterator[Row]:
    """The streams generate `answer` tokens each: enough that they still run when the prompt is computed."""
    prompts = Prompts(model, seed=4000)
    with both(Setting(model, threads, STREAMS + 1, context=ARRIVING + 256)) as servers:
        ours, theirs = in_turn(
            *servers, rounds, lambda server, _: 1000 * asyncio.run(longest_pause(server, prompts, answer))
        )
    yield Row(f"{name}, a prompt of {ARRIVING} tokens beside {STREAMS} streams: pause", "ms", ours, theirs, target=2.0)


async def longest_pause(server: Served, prompts: Prompts, answer: int) -> float:
    """Seconds; the median over the streams of each one's longest gap after the prompt arrived."""
    start = time.perf_counter()
    bodies = [prompts.body(prompts.text(64), max_tokens=answer) for _ in range(STREAMS)]
    running = [asyncio.create_task(chat(server.port, body)) for body in bodies]
    await asyncio.sleep(0.5)
    arrived = time.perf_counter() - start
    await chat(server.port, prompts.body(prompts.text(ARRIVING), max_tokens=1))
    if all(stream.done() for stream in running):
        raise RuntimeError("the streams ended before the prompt was computed; let them generate more")
    return statistics.median([longest_gap(await stream, arrived) for stream in running])


def longest_gap(reply: Reply, after: float) -> float:
    pairs = zip(reply.chunks, reply.chunks[1:], strict=False)
    return max((later - earlier for earlier, later in pairs if later > after), default=0.0)
