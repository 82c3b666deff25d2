"""Reads answers of any size and shape: too large, too deep, not JSON."""

import email.utils
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from oruel.errors import VerifyFailed
from oruel.verify.reply import Chunk, as_object

# An endless answer must not fill the memory, nor a deep one exhaust the stack of whatever walks over it.
MAX_BYTES, MAX_EVENTS = 32 * 2**20, 100_000
MAX_DEPTH = 100
DONE = "[DONE]"


async def read_body(response: httpx2.Response) -> bytes:
    """Raises VerifyFailed beyond MAX_BYTES."""
    return b"".join([piece async for piece in read_pieces(response)])


async def read_pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    read = 0
    async for piece in response.aiter_bytes():
        read += len(piece)
        if read > MAX_BYTES:
            raise VerifyFailed(f"An answer of {response.url} exceeds {MAX_BYTES // 2**20} MiB.")
        yield piece


async def read_events(response: httpx2.Response, started: float) -> AsyncIterator[Chunk]:
    """The events with data, also any after [DONE]. Raises VerifyFailed."""
    rest, events = bytearray(), 0
    async for piece in read_pieces(response):
        if b"\n" not in piece:
            rest += piece
            continue
        *lines, last = (bytes(rest) + piece).split(b"\n")
        rest = bytearray(last)
        for line in lines:
            if line.startswith(b"data:"):
                events += 1
                if events > MAX_EVENTS:
                    raise VerifyFailed(f"A stream of {response.url} has more than {MAX_EVENTS:,} events.")
                yield Chunk(event_data(line), time.perf_counter() - started)
    if rest.startswith(b"data:"):
        yield Chunk(event_data(bytes(rest)), time.perf_counter() - started)


def event_data(line: bytes) -> Any:
    text = line.removeprefix(b"data:").strip()
    return DONE if text == DONE.encode() else decode(text)


def decode(content: bytes) -> Any:
    """JSON, or else the text: also of JSON that is nested too deep, or has NaN, which JSON doesn't know."""
    try:
        value = json.loads(content, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return content.decode(errors="replace")
    return value if is_shallow(value) else content.decode(errors="replace")


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def is_shallow(value: Any, levels: int = MAX_DEPTH) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(one, levels - 1) for one in inner)


def retry_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds from now: Retry-After is a number of them, or a date. None if it is missing or neither."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def error_message(body: Any) -> str:
    """What an error says, as one short line: OpenAI's message, FastAPI's detail, or the beginning of the body."""
    error = as_object(body).get("error")
    for found in (
        as_object(error).get("message"),
        error,
        as_object(body).get("message"),
        as_object(body).get("detail"),
    ):
        if isinstance(found, str) and found.strip():
            return one_line(found)
    return one_line(body if isinstance(body, str) else json.dumps(body))


def one_line(text: str, length: int = 200) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return words if len(words) <= length else f"{words[: length - 1]}…"
