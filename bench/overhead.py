"""What standing in front of another server costs, beside the LiteLLM proxy: requests a second, time to first token."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from typing import Any

from bench.load import chat, request
from bench.proxies import litellm_proxy, oruel_proxy, upstream_stub
from bench.rounds import in_turn
from bench.row import Row
from bench.servers import Served

BODY: dict[str, Any] = {"model": "bench", "messages": [{"role": "user", "content": "Say 64 words."}]}
STREAMED = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
SECONDS = 4.0

Ask = Callable[[int], Awaitable[object]]


def rows(rounds: int) -> Iterator[Row]:
    with upstream_stub() as stub, oruel_proxy(stub) as ours, litellm_proxy(stub) as theirs:
        for connections in (1, 64):
            for name, ask, target in (("streams", stream, 20.0), ("whole replies", whole, 10.0)):

                def measure(server: Served, round_: int, ask: Ask = ask, connections: int = connections) -> float:
                    return asyncio.run(rate(server.port, ask, connections))

                speeds = in_turn(ours, theirs, rounds, measure)
                yield Row(f"in front of a stub, {connections} connections: {name}", "/s", *speeds, True, target)
        added = in_turn(ours, theirs, rounds, lambda server, _: added_ms(server, stub))
        yield Row("in front of a stub: added to the first token", "ms", *added, target=10.0)


async def stream(port: int) -> object:
    return await chat(port, STREAMED)


async def whole(port: int) -> object:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(BODY))
    answer = await reader.read()
    writer.close()
    if b'"word0 ' not in answer:
        raise RuntimeError(f"not an answer: {answer[:500]!r}")
    return answer


async def rate(port: int, ask: Ask, connections: int) -> float:
    """Requests a second of so many that always wait for one."""
    start = time.perf_counter()

    async def keep_asking() -> int:
        count = 0
        while time.perf_counter() - start < SECONDS:
            await ask(port)
            count += 1
        return count

    answered = sum(await asyncio.gather(*(keep_asking() for _ in range(connections))))
    return answered / (time.perf_counter() - start)


def added_ms(server: Served, stub: Served) -> float:
    """Between asking the upstream and asking what stands before it, at one connection."""

    async def first(port: int) -> float:
        return median([(await chat(port, STREAMED)).first for _ in range(15)])

    return 1000 * (asyncio.run(first(server.port)) - asyncio.run(first(stub.port)))
