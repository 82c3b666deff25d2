"""Requests to another HTTP server, and the streams that answer them. Invalid answers raise only typed errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TypeVar

import aiohttp

from oruel.errors import OruelError, UpstreamFailed, UpstreamTimedOut, UpstreamUnavailable
from oruel.http.failure import one_line

T = TypeVar("T")

MAX_ERROR_BYTES = 2**16
# Most servers close a connection after five idle seconds; stop reusing it before that.
KEPT_SECONDS = 4.0
# A busy server may take so long to close a connection on which a request has just arrived.
RESENDS, STALE_SECONDS = 2, 5.0
# After its last event, a server has this long to end the response.
END_SECONDS = 0.005
HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}

Refusal = Callable[[int, str, bytes], OruelError]
"""Makes an error from a status other than 200, its retry-after header, and the beginning of the body."""


@dataclass(slots=True)
class Attempt:
    """Whether a request was sent on a connection that had been used before."""

    reuses: bool = False


async def note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.reuses = True


def upstream_client() -> aiohttp.ClientSession:
    """Has no limit on connections and no timeouts; each request sets its own."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note_reuse)
    return aiohttp.ClientSession(
        trace_configs=[trace],
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """In seconds: to connect, to the first token, and between two events."""

    connect: float = 5.0
    first_token: float = 60.0
    idle: float = 30.0


DEFAULT_TIMEOUTS = UpstreamTimeouts()


class EventTimeout:
    """The timeout of one event, `seconds` after construction."""

    def __init__(self, seconds: float, *, is_last: bool = False) -> None:
        self.is_last = is_last
        self._seconds = seconds
        self._due = asyncio.get_running_loop().time() + seconds

    async def enforce(self, awaited: Awaitable[T]) -> T:
        """Raises UpstreamTimedOut after the timeout."""
        limit = asyncio.timeout_at(self._due)
        try:
            async with limit:
                return await awaited
        except TimeoutError:
            if not limit.expired():
                raise
            raise UpstreamTimedOut(
                f"The server behind this model sent nothing for {self._seconds:g} seconds."
            ) from None


@dataclass(frozen=True, slots=True)
class OtherServer:
    """What all requests to one server have in common. `headers` are added to HEADERS."""

    session: aiohttp.ClientSession
    timeouts: UpstreamTimeouts = DEFAULT_TIMEOUTS
    headers: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def stream(
        self, url: str, body: bytes, wait: EventTimeout, refusal: Refusal, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Sends the request and checks the response head. On exit, aborts the response unless it is complete.

        Raises UpstreamUnavailable, UpstreamFailed, and what `refusal` returns.
        """
        async with self._open("POST", url, body, wait, headers) as response:
            with unreadable_as_failure():
                await check_stream(response, wait, refusal)
            yield response

    async def fetch(self, method: str, url: str, body: bytes | None, wait: EventTimeout) -> tuple[int, bytes]:
        """The status and the beginning of the body. Raises UpstreamUnavailable, UpstreamFailed."""
        async with self._open(method, url, body, wait, None) as response:
            with unreadable_as_failure():
                return response.status, await read_beginning(response, wait)

    @asynccontextmanager
    async def _open(
        self, method: str, url: str, body: bytes | None, wait: EventTimeout, headers: Mapping[str, str] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            with unreadable_as_failure():
                response = await wait.enforce(self._send(method, url, body, headers or {}))
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnavailable(
                "The server behind this model can't be reached, or closed the connection before it answered.",
                detail=one_line(error) or type(error).__name__,
            ) from error
        try:
            yield response
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(
                "The server behind this model closed the connection.", detail=one_line(error)
            ) from error
        finally:
            response.close()

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Retries if the server had closed a reused connection, or closes it in place of an answer."""
        loop = asyncio.get_running_loop()
        for _ in range(RESENDS):
            begun, attempt = loop.time(), Attempt()
            try:
                return await self._request(method, url, body, headers, attempt)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not attempt.reuses or loop.time() - begun > STALE_SECONDS:
                    raise
        return await self._request(method, url, body, headers, Attempt())

    async def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], attempt: Attempt
    ) -> aiohttp.ClientResponse:
        return await self.session.request(
            method,
            url,
            data=body,
            headers={**HEADERS, **self.headers, **headers},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.timeouts.connect),
            allow_redirects=False,
            trace_request_ctx=attempt,
        )


@contextmanager
def unreadable_as_failure() -> Iterator[None]:
    """Converts exceptions into UpstreamFailed, except for typed errors and connection errors.

    Input that crashes a parser here counts as a failure of the other server, not of this one.
    """
    try:
        yield
    except (OruelError, aiohttp.ClientError, OSError):
        raise
    except Exception as error:
        raise UpstreamFailed(
            "The server behind this model sent something that can't be read.",
            detail=one_line(f"{type(error).__name__}: {error}"),
        ) from error


async def check_stream(response: aiohttp.ClientResponse, wait: EventTimeout, refusal: Refusal) -> None:
    """Raises an OruelError unless the response is an uncompressed event stream."""
    if response.status != 200:
        body = await read_beginning(response, wait)
        raise refusal(response.status, response.headers.get("retry-after", ""), body)
    kind = response.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "text/event-stream":
        raise UpstreamFailed("The server behind this model answered without a stream.", detail=f"It sent {kind!r}.")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UpstreamFailed("The server behind this model compressed its stream without being asked to.")


async def read_available(response: aiohttp.ClientResponse) -> bytes:
    """The next bytes of the body, empty at its end. Raises aiohttp.ClientError, OSError."""
    try:
        return await response.content.readany()
    except RuntimeError as error:
        # aiohttp raises RuntimeError after it closed the connection because of invalid HTTP.
        raise aiohttp.ClientPayloadError(str(error)) from error


async def read_beginning(response: aiohttp.ClientResponse, wait: EventTimeout) -> bytes:
    """Reads at most MAX_ERROR_BYTES of a body."""
    body = b""
    while len(body) < MAX_ERROR_BYTES and (part := await wait.enforce(read_available(response))):
        body += part
    return body[:MAX_ERROR_BYTES]


async def drain(response: aiohttp.ClientResponse) -> None:
    """Drains a nearly finished response so that its connection is reused."""
    if response.content.at_eof():
        return
    try:
        async with asyncio.timeout(END_SECONDS):
            while await read_available(response):
                pass
    except (TimeoutError, aiohttp.ClientError, OSError):
        # The answer is complete, so it doesn't matter how the connection ends.
        response.close()
