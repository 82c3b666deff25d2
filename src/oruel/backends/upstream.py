"""Another OpenAI-compatible server as a Backend: its stream is passed on as it comes, and watched."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import msgspec

from oruel.backends.sse import EventReader
from oruel.backends.upstream_body import upstream_body
from oruel.backends.upstream_chunks import AnswerChunks
from oruel.errors import ContextLengthExceeded, InvalidParameter, RequestError, UpstreamFailed
from oruel.kinds import abbreviate
from oruel.types import ChatRequest, Delta, UpstreamKind

T = TypeVar("T")

MAX_EVENT = 2**20
MAX_ERROR_BYTES = 2**16
MAX_ERROR_CHARACTERS = 400
# Most servers close a connection that was idle for five seconds: a request must not be sent just then.
KEPT_SECONDS = 4.0
# What a server may take to end its answer behind the last event, so that the connection can be used again.
ENDING_SECONDS = 0.05
THE_CALLERS_FAULT = (400, 413, 422)
CONTEXT_LENGTH = ("context_length_exceeded", "exceed_context_size_error")
HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}

encode = msgspec.json.Encoder().encode


def upstream_client() -> aiohttp.ClientSession:
    """As many connections as there are requests; each request has deadlines of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect, for the first event, between two events."""

    connect: float = 5.0
    first_token: float = 60.0
    idle: float = 30.0


class UpstreamBackend:
    """`model` is the name that answers carry, `upstream_model` the one that the other server knows."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        base_url: str,
        kind: UpstreamKind,
        *,
        model: str,
        upstream_model: str,
        key: str | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._client = client
        self._url = f"{base_url}/chat/completions"
        self._kind: UpstreamKind = kind
        self._model = model
        self._upstream_model = upstream_model
        self._headers = HEADERS | ({"authorization": f"Bearer {key}"} if key else {})
        self._patience = patience

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """What arrives together is one delta a choice. Raises UpstreamFailed, or InvalidParameter where the other
        server says that the request is at fault.
        """
        answer, reader = AnswerChunks(request, self._model), EventReader(MAX_EVENT)
        wait = Wait(self._patience.first_token)
        try:
            response = await wait.of(self._send(request))
            try:
                await check(response, wait)
                while not answer.is_over and (data := await wait.of(response.content.readany())):
                    if events := fed(reader, data):
                        wait = Wait(self._patience.idle)
                    for delta in answer.feed(events):
                        yield delta
                yield answer.finish()
                await ended(response)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(f"The upstream can't be reached or broke off: {described(error)}") from error

    async def _send(self, request: ChatRequest) -> aiohttp.ClientResponse:
        return await self._client.post(
            self._url,
            data=encode(upstream_body(request, self._kind, self._upstream_model)),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
            allow_redirects=False,
        )


class Wait:
    """For something that has to be there within `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = asyncio.get_running_loop().time() + seconds

    async def of(self, awaited: Awaitable[T]) -> T:
        """Raises UpstreamFailed where it takes longer."""
        limit = asyncio.timeout_at(self._due)
        try:
            async with limit:
                return await awaited
        except TimeoutError:
            if not limit.expired():
                raise
            raise UpstreamFailed(f"The upstream said nothing for {self._seconds:g} seconds.") from None


async def ended(response: aiohttp.ClientResponse) -> None:
    """Reads to the end of the answer, where that is near: only then its connection is kept."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            while await response.content.readany():
                pass
    except (TimeoutError, aiohttp.ClientError, OSError):
        # The answer is whole: how the connection ends is nobody's concern.
        response.close()


def fed(reader: EventReader, chunk: bytes) -> list[bytes]:
    try:
        return reader.feed(chunk)
    except ValueError as error:
        raise UpstreamFailed(str(error)) from error


async def check(response: aiohttp.ClientResponse, wait: Wait) -> None:
    """Raises InvalidParameter for what the request is at fault for, UpstreamFailed for all else."""
    if response.status == 200:
        kind = response.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise UpstreamFailed(f'The upstream answered with "{abbreviate(kind)}" in place of a stream.')
        return
    raise failure(response.status, await beginning(response, wait))


async def beginning(response: aiohttp.ClientResponse, wait: Wait) -> bytes:
    """Of an error's body, MAX_ERROR_BYTES at most."""
    body = b""
    while len(body) < MAX_ERROR_BYTES and (part := await wait.of(response.content.readany())):
        body += part
    return body[:MAX_ERROR_BYTES]


def failure(status: int, body: bytes) -> RequestError | UpstreamFailed:
    """What an answer with such a status means to our caller."""
    error = error_in(body)
    said = abbreviate(" ".join(str(error.get("message", "")).split()), MAX_ERROR_CHARACTERS) or "nothing"
    if status not in THE_CALLERS_FAULT:
        return UpstreamFailed(f"The upstream answered with status {status}: {said}")
    said = f"The server behind this model refused the request: {said}"
    if error.get("code") in CONTEXT_LENGTH or error.get("type") in CONTEXT_LENGTH:
        return ContextLengthExceeded(said, param="messages")
    param = error.get("param")
    return InvalidParameter(said, param=abbreviate(param) if isinstance(param, str) and param else None)


def error_in(body: bytes) -> dict[str, Any]:
    """OpenAI's object, also where it lies bare, as SGLang's does; any other text as its message."""
    text = body.decode(errors="replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": text}
    error = said.get("error", said) if isinstance(said, dict) else said
    return error if isinstance(error, dict) else {"message": error}


def described(error: Exception) -> str:
    return abbreviate(" ".join(str(error).split()), MAX_ERROR_CHARACTERS) or type(error).__name__
