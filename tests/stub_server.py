"""A loopback server that answers each chat request with scripted bytes, valid or not."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"
HANG = 3600.0

Part = bytes | float | None
"""Bytes are sent, a number sleeps for so many seconds, None resets the connection."""


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(content: str | None = None, *, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    return event({"choices": [{"index": index, "delta": {**delta, **more}, "finish_reason": finish}]})


def usage(prompt: float = 3, completion: float = 2, **more: Any) -> bytes:
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}})


def saying(*texts: str) -> list[Part]:
    return [HEAD, *(chunk(text) for text in texts), chunk(finish="stop"), usage(completion=len(texts)), DONE]


def status(code: int, body: str, kind: str = "application/json") -> list[Part]:
    length = len(body.encode())
    head = f"HTTP/1.1 {code} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    return [f"{head}{body}".encode()]


@dataclass
class Stub:
    """`script` is the answer to the next requests. `heads` and `bodies` record the requests, and `left` counts the
    clients that disconnected.
    """

    port: int = 0
    script: Iterable[Part] = ()
    heads: list[bytes] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    _open: dict[asyncio.StreamWriter, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.create_task(self.answer(reader, writer))

    async def close(self) -> None:
        """Closes all connections, including those whose requests are still unread."""
        for writer, answering in self._open.items():
            answering.cancel()
            writer.close()
        await asyncio.gather(*self._open.values(), return_exceptions=True)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._read_request(reader)
            for part in self.script:
                if part is None:
                    writer.transport.abort()
                    return
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await self._sleep(part, reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        self.bodies.append(json.loads(await reader.readexactly(length)))

    async def _sleep(self, seconds: float, reader: asyncio.StreamReader) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), seconds)
            raise ConnectionError("the client left")


@asynccontextmanager
async def stub_server(script: Iterable[Part] = ()) -> AsyncIterator[Stub]:
    stub = Stub(script=script)
    server = await asyncio.start_server(stub.accept, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        # A server that closes while it accepts a connection, in three steps of the loop, leaves it open.
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        await stub.close()
