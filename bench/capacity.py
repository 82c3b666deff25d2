"""The load generator alone, with a server that only sends, to show that the generator keeps up."""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import chat_concurrently
from bench.servers import free_port

TOKENS = 256


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(int(length.split(b":")[1]))
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": " word"}}]}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for _ in range(TOKENS):
        writer.write(b"data: " + chunk + b"\n\n")
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(b'data: {"choices": [], "usage": {"completion_tokens": %d}}\n\ndata: [DONE]\n\n' % TOKENS)
    await writer.drain()
    writer.close()


def serve(port: int) -> None:
    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def stub_server() -> Iterator[int]:
    """Runs a server process that answers each request with TOKENS chunks as fast as it can. Yields its port."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.join()


def wait_for_port(port: int) -> None:
    while True:
        try:
            asyncio.run(chat_concurrently(port, [{}]))
            return
        except OSError:
            time.sleep(0.05)


def measure(streams: int) -> tuple[float, float]:
    """(chunks per second, the generator's CPU seconds per thousand chunks) with `streams` concurrent streams."""
    with stub_server() as port:
        asyncio.run(chat_concurrently(port, [{}] * streams))
        cpu, wall = time.process_time(), time.perf_counter()
        replies = asyncio.run(chat_concurrently(port, [{}] * streams))
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    chunks = sum(len(reply.chunks) for reply in replies)
    return chunks / seconds, 1000 * cpu_seconds / chunks
