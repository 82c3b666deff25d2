"""The overhead of a proxy, compared with LiteLLM, and what keys, limits and the ledger cost: requests per second, and
time to the first token.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from functools import partial
from statistics import median
from typing import Any

from bench.load import chat, encode_request
from bench.proxies import litellm_proxy, oruel_proxy, upstream_stub
from bench.rounds import measure_all_in_turn, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess
from tests.postgres import find_binaries, running_postgres

BODY: dict[str, Any] = {"model": "bench", "messages": [{"role": "user", "content": "Say 64 words."}]}
STREAMED = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
SECONDS = 4.0
# Matches only at the start of a line: LiteLLM also forwards the upstream's length under another name.
LENGTH = re.compile(rb"^content-length: *([0-9]+)", re.IGNORECASE | re.MULTILINE)


# At most a fifth less with keys, limits and the ledger than without.
LEDGER_TARGET = 0.8


def rows(rounds: int) -> Iterator[Row]:
    with upstream_stub() as stub, oruel_proxy(stub) as ours, litellm_proxy(stub) as theirs:
        for name, columns, target in speeds((ours, theirs), rounds):
            yield Row(f"proxy of a stub, {name}", "/s", columns[ours.name], columns[theirs.name], True, target)
        added = measure_in_turn(ours, theirs, rounds, lambda server, _: added_ms(server, stub))
        yield Row("proxy of a stub: time added to the first token", "ms", *added, target=10.0)


def ledger_rows(rounds: int) -> Iterator[Row]:
    """The same requests with keys, limits and the ledger in each kind of store: against Oru'el without them, and
    against LiteLLM with a key.
    """
    with ExitStack() as running:
        stub = running.enter_context(upstream_stub())
        plain = running.enter_context(oruel_proxy(stub))
        stores = running.enter_context(ledger_stores())
        metered = [running.enter_context(oruel_proxy(stub, name, store)) for name, store in stores.items()]
        theirs = running.enter_context(litellm_proxy(stub, with_key=True))
        for name, columns, target in speeds((plain, *metered, theirs), rounds):
            for store in stores:
                ours = columns[store]
                yield Row(
                    f"ledger, {store}, against none; {name}", "/s", ours, columns[plain.name], True, LEDGER_TARGET
                )
                yield Row(f"ledger, {store}, against LiteLLM; {name}", "/s", ours, columns[theirs.name], True, target)


def speeds(servers: Sequence[ServerProcess], rounds: int) -> Iterator[tuple[str, dict[str, list[float]], float]]:
    """For each kind of load: its name, the requests per second of each server, and how many times as many as LiteLLM
    are the target.
    """
    for connections in (1, 64):
        for name, body, target in (("streams", STREAMED, 20.0), ("whole replies", BODY, 10.0)):
            measure = partial(rate, body=body, connections=connections)
            yield f"{connections} connections: {name}", measure_all_in_turn(servers, rounds, measure), target


@contextmanager
def ledger_stores() -> Iterator[dict[str, str]]:
    """The locations of new stores by their kinds: SQLite, and PostgreSQL where it is installed."""
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory())
        stores = {"SQLite": f"{folder}/ledger.db"}
        if find_binaries():
            server = running.enter_context(running_postgres(fsync="on"))
            stores["PostgreSQL"] = server.create_database()
        yield stores


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

    async def first(server: ServerProcess) -> float:
        return median([(await chat(server.port, STREAMED, server.key)).first for _ in range(15)])

    return 1000 * (asyncio.run(first(server)) - asyncio.run(first(stub)))
