"""The endpoint under test: sends requests, waits where it is told to, and counts what they cost."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from oruel.errors import VerifyFailed
from oruel.verify.budget import Budget
from oruel.verify.reply import Chunk, Json, Reply, StreamReply

TIMEOUT = httpx2.Timeout(120, connect=10)
# Statuses that ask for patience, and how often and how long it is granted.
BUSY = (429, 503)
MAX_WAITS, MAX_WAIT_SECONDS = 6, 60.0
# An endless answer must not fill the memory.
MAX_BYTES = 32 * 2**20


@dataclass
class Endpoint:
    """`url` ends before /chat/completions, as in http://127.0.0.1:8000/v1. `waited` counts seconds spent on rate
    limits.
    """

    url: str
    model: str
    client: httpx2.AsyncClient
    budget: Budget = field(default_factory=Budget)
    waited: float = 0.0

    async def chat(self, **fields: Any) -> Reply:
        """Sends one request; `fields` are added to the model and a short prompt, and None leaves a field out.

        Raises VerifyFailed if no answer arrives, and BudgetSpent.
        """
        return await self.send(self.body(fields))

    async def send(self, request: Json) -> Reply:
        """Sends exactly this body, nulls included. Raises what `chat` raises."""
        response, seconds = await self._patiently("POST", "/chat/completions", json.dumps(request).encode())
        reply = Reply(request, response.status_code, response.headers, decode(response.content), seconds)
        self.budget.add(count_tokens(reply.usage, request))
        return reply

    async def chats(self, requests: list[Json], at_once: int = 8) -> list[Reply]:
        """Sends requests concurrently. The replies are in order."""
        gate = asyncio.Semaphore(at_once)

        async def send(fields: Json) -> Reply:
            async with gate:
                return await self.chat(**fields)

        return list(await asyncio.gather(*(send(fields) for fields in requests)))

    async def stream(self, leave_after: int | None = None, **fields: Any) -> StreamReply:
        """Sends a streamed request and reads it to its end, or disconnects after `leave_after` events. Raises what
        `chat` raises.
        """
        request = self.body({"stream": True, **fields})
        self.budget.require()
        started = time.perf_counter()
        with translated(self.url):
            async with self.client.stream("POST", f"{self.url}/chat/completions", json=request) as response:
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    body = decode(await response.aread())
                    refusal = Reply(request, response.status_code, response.headers, body)
                    return StreamReply(request, response.status_code, response.headers, refusal=refusal)
                events = [event async for event in limited(read_events(response, started), leave_after)]
        done = bool(events) and events[-1].data == "[DONE]"
        chunks = tuple(events[:-1] if done else events)
        reply = StreamReply(request, response.status_code, response.headers, chunks, done)
        self.budget.add(count_tokens(reply.usage, request))
        return reply

    async def raw(
        self, method: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Any request, `path` relative to the base URL or, with a scheme, absolute. Raises what `chat` raises."""
        response, seconds = await self._patiently(method, path, content, headers)
        return Reply({}, response.status_code, response.headers, decode(response.content), seconds)

    async def post(self, path: str, body: Json) -> Reply:
        """Like `raw`, with a JSON body."""
        return await self.raw("POST", path, json.dumps(body).encode())

    def body(self, fields: Mapping[str, Any]) -> Json:
        given = {"model": self.model, "messages": [{"role": "user", "content": "Hello!"}], **fields}
        return {name: value for name, value in given.items() if value is not None}

    async def _patiently(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[httpx2.Response, float]:
        """Repeats a request that was put off, as long as the endpoint says when to come again."""
        url = path if "://" in path else f"{self.url}{path}"
        sent = {"content-type": "application/json", **(headers or {})}
        for _ in range(MAX_WAITS):
            self.budget.require()
            started = time.perf_counter()
            with translated(self.url):
                response = await self.client.request(method, url, content=content, headers=sent)
            seconds = time.perf_counter() - started
            pause = retry_seconds(response)
            if response.status_code not in BUSY or pause is None:
                return response, seconds
            self.waited += pause
            await asyncio.sleep(pause)
        return response, seconds


@contextlib.asynccontextmanager
async def open_endpoint(url: str, model: str, api_key: str | None, budget: Budget) -> AsyncIterator[Endpoint]:
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    limits = httpx2.Limits(max_connections=32)
    async with httpx2.AsyncClient(headers=headers, timeout=TIMEOUT, limits=limits, trust_env=False) as client:
        yield Endpoint(url.rstrip("/"), model, client, budget)


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.TimeoutException as error:
        raise VerifyFailed(f"{url} did not answer within {TIMEOUT.read:g} s.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise VerifyFailed(f"{url} can't be reached: {error or type(error).__name__}.") from error


async def read_events(response: httpx2.Response, started: float) -> AsyncIterator[Chunk]:
    read = 0
    async for line in response.aiter_lines():
        read += len(line)
        if read > MAX_BYTES:
            raise VerifyFailed(f"A stream exceeded {MAX_BYTES // 2**20} MiB.")
        if line.startswith("data:"):
            text = line.removeprefix("data:").strip()
            yield Chunk(text if text == "[DONE]" else decode(text.encode()), time.perf_counter() - started)


async def limited(events: AsyncIterator[Chunk], count: int | None) -> AsyncIterator[Chunk]:
    """The first `count` events, or all."""
    taken = 0
    async for event in events:
        yield event
        taken += 1
        if taken == count:
            return


def decode(content: bytes) -> Any:
    """JSON, or else the text."""
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def retry_seconds(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return min(float(value), MAX_WAIT_SECONDS) if value.replace(".", "", 1).isdigit() else None


def count_tokens(usage: Json, request: Json) -> int:
    """What the endpoint reports, or else an estimate from the length of the request."""
    reported = usage.get("total_tokens")
    return reported if isinstance(reported, int) else len(json.dumps(request)) // 4
