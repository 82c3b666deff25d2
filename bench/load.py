"""The load generator: streams chats over plain sockets. It timestamps chunks on arrival and parses them at the end."""

import asyncio
import json
import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

EVENT = re.compile(rb'^data: \{.*?"content": ?"(?!").*$', re.MULTILINE)
COMPLETION = re.compile(rb'"completion_tokens": ?(\d+)')
READ_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Reply:
    """Times are in seconds since the request was sent. `chunks` are those with text."""

    tokens: int
    chunks: list[float]
    seconds: float

    @property
    def first(self) -> float:
        return self.chunks[0]

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.chunks, self.chunks[1:], strict=False)]


async def chat(port: int, body: dict[str, Any], key: str | None = None) -> Reply:
    """Sends a streamed chat. Raises RuntimeError, which quotes the answer, if it isn't a complete stream."""
    return await exchange(port, encode_request(body, key=key))


async def exchange(port: int, request: bytes) -> Reply:
    """Sends a request whose answer is a stream. Raises RuntimeError like `chat`."""
    return parse_reply(*await receive(port, request))


async def receive(port: int, request: bytes) -> tuple[list[float], list[bytes]]:
    """What arrives until the server closes the connection, and when each part of it did."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    stamps: list[float] = []
    reads: list[bytes] = []
    while data := await reader.read(READ_BYTES):
        stamps.append(time.perf_counter() - start)
        reads.append(data)
    writer.close()
    return stamps, reads


def encode_request(
    body: dict[str, Any], *, path: str = "/v1/chat/completions", keep: bool = False, key: str | None = None
) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    connection = b"keep-alive" if keep else b"close"
    return head.encode() + b"Content-Type: application/json\r\nConnection: " + connection + b"\r\n\r\n" + data


def parse_reply(stamps: Sequence[float], reads: Sequence[bytes]) -> Reply:
    answer = b"".join(reads)
    counted = COMPLETION.findall(answer)
    if not counted or b"data: [DONE]" not in answer:
        raise RuntimeError(f"not a complete stream: {answer[:500]!r} … {answer[-200:]!r}")
    ends = list(accumulate(map(len, reads)))
    chunks = [stamps[bisect_left(ends, event.end())] for event in EVENT.finditer(answer)]
    return Reply(int(counted[-1]), chunks, stamps[-1])


async def chat_concurrently(port: int, bodies: Sequence[dict[str, Any]]) -> list[Reply]:
    return list(await asyncio.gather(*(chat(port, body) for body in bodies)))
