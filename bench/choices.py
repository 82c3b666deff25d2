"""Compares the chosen HTTP client and JSON encoder for upstream servers with their alternatives, by CPU time of one
process.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx2
import msgspec
import orjson

from bench.overhead import STREAMED
from bench.proxies import upstream_stub
from bench.row import Row
from oruel.api.chat.completion import ChatCompletionChunk, ChunkChoice, ChunkDelta
from oruel.http.exchange import upstream_client

REQUESTS = 600
CHUNKS = 20_000
BODY = json.dumps(STREAMED).encode()
HEADERS = {"content-type": "application/json"}

Ask = Callable[[str], Awaitable[None]]


def rows(rounds: int) -> Iterator[Row]:
    with upstream_stub() as stub:
        url = f"http://127.0.0.1:{stub.port}/v1/chat/completions"
        for connections in (1, 64):
            ours = [asyncio.run(with_aiohttp(url, connections)) for _ in range(rounds)]
            theirs = [asyncio.run(with_httpx2(url, connections)) for _ in range(rounds)]
            yield Row(f"aiohttp vs. httpx2, {connections} connections: a streamed answer", "ms", ours, theirs)
    chunk = ChatCompletionChunk(
        id="chatcmpl-1",
        created=1,
        model="bench",
        tier="standard",
        system_fingerprint="fp_1",
        choices=[ChunkChoice(0, ChunkDelta(content="word "))],
    )
    encode = msgspec.json.Encoder().encode
    ours = [encoding_microseconds(lambda: encode(chunk)) for _ in range(rounds)]
    # orjson encodes dictionaries, so the types would have to be dictionaries.
    as_dict: dict[str, Any] = msgspec.to_builtins(chunk)
    yield Row(
        "msgspec vs. orjson: a chunk",
        "µs",
        ours,
        [encoding_microseconds(lambda: orjson.dumps(as_dict)) for _ in range(rounds)],
    )
    yield Row(
        "msgspec vs. json: a chunk",
        "µs",
        ours,
        [encoding_microseconds(lambda: json.dumps(as_dict)) for _ in range(rounds)],
    )


async def with_aiohttp(url: str, connections: int) -> float:
    async with upstream_client() as client:

        async def ask(url: str) -> None:
            async with client.post(url, data=BODY, headers=HEADERS) as response:
                while await response.content.readany():
                    pass

        return await cpu_ms(ask, url, connections)


async def with_httpx2(url: str, connections: int) -> float:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=256)
    async with httpx2.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:

        async def ask(url: str) -> None:
            async with client.stream("POST", url, content=BODY, headers=HEADERS) as response:
                async for _ in response.aiter_bytes():
                    pass

        return await cpu_ms(ask, url, connections)


async def cpu_ms(ask: Ask, url: str, connections: int) -> float:
    """CPU milliseconds per answer, with `connections` requests always in progress."""
    left = REQUESTS

    async def keep_asking() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await ask(url)

    begun = time.process_time()
    await asyncio.gather(*(keep_asking() for _ in range(connections)))
    return 1000 * (time.process_time() - begun) / REQUESTS


def encoding_microseconds(encode: Callable[[], object]) -> float:
    begun = time.process_time()
    for _ in range(CHUNKS):
        encode()
    return 1e6 * (time.process_time() - begun) / CHUNKS
