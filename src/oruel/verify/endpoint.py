"""The endpoint under test: sends requests, waits as Retry-After says, and counts what they cost."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from oruel.addresses import is_local_url
from oruel.errors import VerifyFailed
from oruel.verify.budget import Budget
from oruel.verify.reading import DONE, decode, error_message, read_body, read_events, retry_seconds
from oruel.verify.reply import Chunk, Json, Reply, StreamReply, as_count

# For a whole answer, and to connect.
ANSWER_SECONDS, CONNECT_SECONDS = 120.0, 10.0
# Statuses that ask for patience, and how often and how long it is granted.
BUSY = (429, 503)
MAX_WAITS, MAX_WAIT_SECONDS = 6, 600.0
# Without Retry-After; doubled with each wait.
FIRST_WAIT_SECONDS = 1.0
# Many servers close a connection that was idle for 5 s, just when a client may use it again.
IDLE_SECONDS = 2.0


@dataclass
class Endpoint:
    """`url` ends before /chat/completions, as in http://127.0.0.1:8000/v1. `waited` counts seconds spent on rate
    limits; `on_wait` gets the status and the seconds of each wait before it begins. `length_field` is sent in place of
    max_tokens.
    """

    url: str
    model: str
    client: httpx2.AsyncClient
    budget: Budget = field(default_factory=Budget)
    answer_seconds: float = ANSWER_SECONDS
    on_wait: Callable[[int, float], None] = lambda status, seconds: None
    waited: float = 0.0
    length_field: str = "max_tokens"
    _ready_at: float = 0.0

    async def chat(self, **fields: Any) -> Reply:
        """Sends one request; `fields` are added to the model and a short prompt, and None leaves a field out.

        Raises VerifyFailed if no answer arrives, and BudgetSpent.
        """
        return await self.send(self.body(fields))

    async def send(self, request: Json) -> Reply:
        """Sends exactly this body, nulls included. Raises what `chat` raises."""
        reply = await self._answer("POST", "/chat/completions", json.dumps(request).encode(), request)
        self.budget.add(count_tokens(reply.usage, request) if reply.status == 200 else 0)
        return reply

    async def chats(self, requests: list[Json], at_once: int = 8) -> list[Reply]:
        """Sends requests concurrently. The replies are in order. If one raises, the others are cancelled."""
        gate = asyncio.Semaphore(at_once)

        async def send(fields: Json) -> Reply:
            async with gate:
                return await self.chat(**fields)

        tasks = [asyncio.ensure_future(send(fields)) for fields in requests]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def stream(self, leave_after: int | None = None, **fields: Any) -> StreamReply:
        """Sends a streamed request and reads it to its end, or disconnects after `leave_after` events. Raises what
        `chat` raises.
        """
        request = self.body({"stream": True, **fields})
        async with self._open("POST", "/chat/completions", json.dumps(request).encode()) as (response, started):
            status, headers = response.status_code, response.headers
            if not headers.get("content-type", "").lower().startswith("text/event-stream"):
                refusal = Reply(request, status, headers, decode(await read_body(response)))
                self.budget.add(0)
                return StreamReply(request, status, headers, refusal=refusal)
            events = [event async for event in limited(read_events(response, started), leave_after)]
        done = bool(events) and events[-1].data == DONE
        reply = StreamReply(request, status, headers, tuple(events[:-1] if done else events), done)
        self.budget.add(count_tokens(reply.usage, request))
        return reply

    async def raw(
        self, method: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Any request, `path` relative to the base URL or, with a scheme, absolute. Raises what `chat` raises."""
        reply = await self._answer(method, path, content, {}, headers)
        self.budget.add(0)
        return reply

    async def post(self, path: str, body: Json) -> Reply:
        """Like `raw`, with a JSON body."""
        return await self.raw("POST", path, json.dumps(body).encode())

    def body(self, fields: Mapping[str, Any]) -> Json:
        given = {"model": self.model, "messages": [{"role": "user", "content": "Hello!"}], **fields}
        sent = {name: value for name, value in given.items() if value is not None}
        if "max_tokens" in sent and self.length_field not in sent:
            sent[self.length_field] = sent.pop("max_tokens")
        return sent

    async def _answer(
        self, method: str, path: str, content: bytes, request: Json, headers: Mapping[str, str] | None = None
    ) -> Reply:
        async with self._open(method, path, content, headers) as (response, started):
            body = decode(await read_body(response))
        return Reply(request, response.status_code, response.headers, body, time.perf_counter() - started)

    @contextlib.asynccontextmanager
    async def _open(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[httpx2.Response, float]]:
        """The response, and when its request was sent. Repeats a request that was put off."""
        url = path if "://" in path else f"{self.url}{path}"
        sent = {"content-type": "application/json", **(headers or {})}
        for attempt in range(MAX_WAITS + 1):
            await self._until_ready()
            self.budget.require()
            started = time.perf_counter()
            with translated(url, self.answer_seconds):
                request = self.client.build_request(method, url, content=content, headers=sent)
                async with (
                    asyncio.timeout(self.answer_seconds),
                    contextlib.aclosing(await self._send(request)) as response,
                ):
                    if response.status_code not in BUSY:
                        yield response, started
                        return
                    said = error_message(decode(await read_body(response)))
            pause = retry_seconds(response.headers)
            pause = FIRST_WAIT_SECONDS * 2**attempt if pause is None else pause
            if pause > MAX_WAIT_SECONDS:
                raise VerifyFailed(f"{url} answered {response.status_code} and asks to wait {pause:,.0f} s: {said}")
            if attempt < MAX_WAITS:
                self._put_off(response.status_code, pause)
        raise VerifyFailed(f"{url} still answered {response.status_code} after {MAX_WAITS} waits: {said}")

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        """Repeats a request that met a connection which the server was closing."""
        try:
            return await self.client.send(request, stream=True)
        except httpx2.RemoteProtocolError:
            return await self.client.send(request, stream=True)

    def _put_off(self, status: int, pause: float) -> None:
        """Delays all requests, since a rate limit is not about one of them."""
        ready_at = time.monotonic() + pause
        longer = ready_at - max(self._ready_at, time.monotonic())
        if longer > 0:
            self._ready_at = ready_at
            self.waited += longer
            self.on_wait(status, pause)

    async def _until_ready(self) -> None:
        left = self._ready_at - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
            await self._until_ready()


@contextlib.asynccontextmanager
async def open_endpoint(
    url: str, model: str, api_key: str | None, budget: Budget, answer_seconds: float = ANSWER_SECONDS
) -> AsyncIterator[Endpoint]:
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    limits = httpx2.Limits(max_connections=32, keepalive_expiry=IDLE_SECONDS)
    timeouts = httpx2.Timeout(None, connect=min(CONNECT_SECONDS, answer_seconds))
    trusts = not is_local_url(url)
    async with httpx2.AsyncClient(headers=headers, timeout=timeouts, limits=limits, trust_env=trusts) as client:
        yield Endpoint(url.rstrip("/"), model, client, budget, answer_seconds)


@contextlib.contextmanager
def translated(url: str, answer_seconds: float) -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise VerifyFailed(f"{url} can't be reached: {str(error).rstrip('.') or type(error).__name__}.") from error
    except (httpx2.TimeoutException, TimeoutError) as error:
        raise VerifyFailed(f"{url} did not complete an answer within {answer_seconds:g} s.") from error
    except httpx2.HTTPError as error:
        said = str(error).rstrip(".") or type(error).__name__
        raise VerifyFailed(f"{url} broke off an answer: {said}.") from error


async def limited(events: AsyncIterator[Chunk], count: int | None) -> AsyncIterator[Chunk]:
    """The first `count` events, or all."""
    taken = 0
    async for event in events:
        yield event
        taken += 1
        if taken == count:
            return


def count_tokens(usage: Json, request: Json) -> int:
    """What the endpoint reports, or else an estimate from the length of the request."""
    reported = as_count(usage.get("total_tokens"))
    return len(json.dumps(request)) // 4 if reported is None else reported
