"""The overhead of a proxy, compared with LiteLLM: requests per second and time to the first token."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import aclosing
from functools import partial
from statistics import median
from typing import Any

from bench.load import chat, encode_request
from bench.proxies import litellm_proxy, oruel_proxy, upstream_stub
from bench.rounds import measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess

BODY: dict[str, Any] = {"model": "bench", "messages": [{"role": "user", "content": "Say 64 words."}]}
STREAMED = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
SECONDS = 4.0
# Matches only at the start of a line: LiteLLM also forwards the upstream's length under another name.
LENGTH = re.compile(rb"^content-length: *([0-9]+)", re.IGNORECASE | re.MULTILINE)


def rows(rounds: int) -> Iterator[Row]:
    with upstream_stub() as stub, oruel_proxy(stub) as ours, litellm_proxy(stub) as theirs:
        for connections in (1, 64):
            for name, body, target in (("streams", STREAMED, 20.0), ("whole replies", BODY, 10.0)):
                measure = partial(rate, body=body, connections=connections)
                speeds = measure_in_turn(ours, theirs, rounds, measure)
                yield Row(f"proxy of a stub, {connections} connections: {name}", "/s", *speeds, True, target)
        added = measure_in_turn(ours, theirs, rounds, lambda server, _: added_ms(server, stub))
        yield Row("proxy of a stub: time added to the first token", "ms", *added, target=10.0)


def rate(server: ServerProcess, round_: int, *, body: dict[str, Any], connections: int) -> float:
    """Requests per second over persistent connections, each with one request in progress at all times."""
    return asyncio.run(request_rate(server, body, connections))


async def request_rate(server: ServerProcess, body: dict[str, Any], connections: int) -> float:
    start = time.perf_counter()

    async def keep_asking() -> int:
        count = 0
        async with aclosing(PersistentConnection(server)) as connection:
            while time.perf_counter() - start < SECONDS:
                await connection.ask(body)
                count += 1
        return count

    answered = sum(await asyncio.gather(*(keep_asking() for _ in range(connections))))
    return answered / (time.perf_counter() - start)


class PersistentConnection:
    """A connection that is reused, and reopened if the server has closed it."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: dict[str, Any]) -> None:
        """Sends a request and reads its answer. Raises RuntimeError if the answer is incomplete."""
        reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._server.port)
        self._streams = reader, writer
        writer.write(encode_request(body, keep=True, key=self._server.key))
        head = await reader.readuntil(b"\r\n\r\n")
        if length := LENGTH.search(head):
            answer = await reader.readexactly(int(length[1]))
        else:
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        if b"word0 " not in answer or (b"text/event-stream" in head and b"data: [DONE]" not in answer):
            raise RuntimeError(f"an incomplete answer: {answer[:500]!r}")
        if b"connection: close" in head.lower():
            await self.aclose()

    async def aclose(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None


def added_ms(server: ServerProcess, stub: ServerProcess) -> float:
    """Milliseconds that the proxy adds to the first token, over one connection at a time."""

    async def first(port: int) -> float:
        return median([(await chat(port, STREAMED)).first for _ in range(15)])

    return 1000 * (asyncio.run(first(server.port)) - asyncio.run(first(stub.port)))
