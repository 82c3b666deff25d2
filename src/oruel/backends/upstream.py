"""Another OpenAI-compatible server as a Backend: validates its stream and forwards it as it arrives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import msgspec

from oruel.backends.prompt_bound import most_prompt_tokens
from oruel.backends.upstream_body import upstream_body
from oruel.backends.upstream_failure import one_line, upstream_error
from oruel.backends.upstream_stream import UpstreamStream, unreadable_as_failure
from oruel.errors import UpstreamFailed, UpstreamTimedOut, UpstreamUnavailable
from oruel.types import HOPS, Accepted, Answer, ChatRequest, Prepared, UpstreamKind

T = TypeVar("T")

MAX_ERROR_BYTES = 2**16
# The highest max_tokens that a request may ask for.
MAX_TOKENS = 131072
# Most servers close a connection after five idle seconds; stop reusing it before that.
KEPT_SECONDS = 4.0
RESENDS, STALE_SECONDS = 2, 0.05
# After the last token, a server has this long to send the usage and [DONE], and then this long to end the response.
USAGE_SECONDS = 1.0
END_SECONDS = 0.005
HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}
DIFFERS = "x-oruel-differs"

encode = msgspec.json.Encoder().encode


def upstream_client() -> aiohttp.ClientSession:
    """Has no limit on connections and no timeouts; each request sets its own."""
    return aiohttp.ClientSession(
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


class UpstreamBackend:
    """`model` is the name reported in answers, `upstream_model` the name sent to the other server."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        base_url: str,
        kind: UpstreamKind,
        *,
        model: str,
        upstream_model: str,
        key: str | None = None,
        timeouts: UpstreamTimeouts = UpstreamTimeouts(),
    ) -> None:
        self._client = client
        self._url = f"{base_url}/chat/completions"
        self._kind: UpstreamKind = kind
        self._model = model
        self._upstream_model = upstream_model
        self._headers = HEADERS | ({"authorization": f"Bearer {key}"} if key else {})
        self._timeouts = timeouts

    async def stream(self, request: ChatRequest) -> Answer:
        """Merges events that arrive together into one delta per choice. Raises UpstreamFailed, UpstreamUnavailable,
        Overloaded, and InvalidParameter or ContextLengthExceeded if the other server rejects the request as invalid.
        """
        yield Prepared(most_prompt_tokens(request), request.max_tokens or MAX_TOKENS)
        answer = UpstreamStream(request, self._model)
        # Requests to other servers are not queued here.
        yield Accepted(progress=answer.progress)
        wait = EventTimeout(self._timeouts.first_token)
        async with self._open_response(request, wait) as response:
            if differs := differs_of(response):
                yield Accepted(differs=differs, progress=answer.progress)
            while not answer.is_over and (data := await next_bytes(response, wait, answer)):
                for delta in answer.feed(data):
                    yield delta
                wait = self._next_wait(wait, answer)
            yield answer.finish()
            await drain(response)

    @asynccontextmanager
    async def _open_response(self, request: ChatRequest, wait: "EventTimeout") -> AsyncIterator[aiohttp.ClientResponse]:
        """Sends the request and checks the response head. On exit, aborts the response unless it is complete."""
        body = encode(upstream_body(request, self._kind, self._upstream_model))
        try:
            with unreadable_as_failure():
                response = await wait.enforce(self._send(body, request.hops + 1))
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnavailable(
                "The server behind this model can't be reached, or closed the connection before it answered.",
                detail=one_line(error) or type(error).__name__,
            ) from error
        try:
            with unreadable_as_failure():
                await check_response(response, wait)
            yield response
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(
                "The server behind this model closed the connection.", detail=one_line(error)
            ) from error
        finally:
            response.close()

    async def _send(self, body: bytes, hops: int) -> aiohttp.ClientResponse:
        """Retries if a reused connection turns out to be closed, which fails immediately."""
        loop = asyncio.get_running_loop()
        for _ in range(RESENDS):
            begun = loop.time()
            try:
                return await self._post(body, hops)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if loop.time() - begun > STALE_SECONDS:
                    raise
        return await self._post(body, hops)

    async def _post(self, body: bytes, hops: int) -> aiohttp.ClientResponse:
        return await self._client.post(
            self._url,
            data=body,
            headers=self._headers | {HOPS: str(hops)},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
            allow_redirects=False,
        )

    def _next_wait(self, wait: "EventTimeout", answer: UpstreamStream) -> "EventTimeout":
        """Comments and empty chunks don't reset the first token's timeout; nothing resets the one after the end."""
        if answer.has_ended:
            return wait if wait.is_last else EventTimeout(USAGE_SECONDS, is_last=True)
        return EventTimeout(self._timeouts.idle) if answer.heard and answer.has_begun else wait


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


async def next_bytes(response: aiohttp.ClientResponse, wait: EventTimeout, answer: UpstreamStream) -> bytes:
    """The next bytes, empty at the end. Ignores timeouts and connection errors once the answer is complete."""
    try:
        return await wait.enforce(read_available(response))
    except (UpstreamTimedOut, aiohttp.ClientError, OSError):
        if answer.has_ended:
            return b""
        raise


async def read_available(response: aiohttp.ClientResponse) -> bytes:
    """The next bytes of the body, empty at its end. Raises aiohttp.ClientError, OSError."""
    try:
        return await response.content.readany()
    except RuntimeError as error:
        # aiohttp raises RuntimeError after it closed the connection because of invalid HTTP.
        raise aiohttp.ClientPayloadError(str(error)) from error


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


async def check_response(response: aiohttp.ClientResponse, wait: EventTimeout) -> None:
    """Raises an OruelError unless the response is an uncompressed event stream."""
    if response.status != 200:
        body = await read_beginning(response, wait)
        raise upstream_error(response.status, response.headers.get("retry-after", ""), body)
    kind = response.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "text/event-stream":
        raise UpstreamFailed("The server behind this model answered without a stream.", detail=f"It sent {kind!r}.")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UpstreamFailed("The server behind this model compressed its stream without being asked to.")


async def read_beginning(response: aiohttp.ClientResponse, wait: EventTimeout) -> bytes:
    """Reads at most MAX_ERROR_BYTES of a body."""
    body = b""
    while len(body) < MAX_ERROR_BYTES and (part := await wait.enforce(read_available(response))):
        body += part
    return body[:MAX_ERROR_BYTES]


def differs_of(response: aiohttp.ClientResponse) -> tuple[str, ...]:
    """The parameters that an upstream Oru'el honours differently. Skips entries with a colon: they name schema keywords
    that aren't enforced, which this instance reports itself. Raises UpstreamFailed if the header isn't printable ASCII.
    """
    header = response.headers.get(DIFFERS, "")
    if not (header.isascii() and header.isprintable()):
        raise UpstreamFailed(
            f"The server behind this model sent an unreadable {DIFFERS} header.", detail=one_line(header)
        )
    notes = [note.strip() for note in header.split(";")]
    return tuple(note for note in notes if note and ":" not in note)
