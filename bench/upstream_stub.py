"""`python -m bench.upstream_stub PORT`: a server that answers every chat request at once with 64 tokens, streamed or
whole, so that only the proxy takes time.
"""

import asyncio
import json
import re
import sys

TOKENS = 64
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
STREAMED = re.compile(rb'"stream": ?true')
USAGE = {"prompt_tokens": 8, "completion_tokens": TOKENS, "total_tokens": 8 + TOKENS}
COMMON = {"id": "chatcmpl-1", "created": 1, "model": "stub"}


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({**COMMON, "object": "chat.completion.chunk", "choices": [choice]})


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def stream_body() -> bytes:
    usage = event({**COMMON, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    words = [chunk({"content": f"word{number} "}) for number in range(TOKENS)]
    return b"".join([chunk({"role": "assistant"}), *words, chunk({}, "stop"), usage, b"data: [DONE]\n\n"])


def whole_body() -> bytes:
    message = {"role": "assistant", "content": "".join(f"word{number} " for number in range(TOKENS))}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({**COMMON, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def answer(body: bytes, kind: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


STREAM, WHOLE = answer(stream_body(), "text/event-stream"), answer(whole_body(), "application/json")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            writer.write(STREAM if STREAMED.search(body) else WHOLE)
            await writer.drain()
            if b"connection: close" in head.lower():
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
