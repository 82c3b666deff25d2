"""Another OpenAI-compatible server as a Backend: its stream is passed on as it comes, and watched."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import httpx2

from oruel.backends.sse import EventReader
from oruel.backends.upstream_body import upstream_body
from oruel.backends.upstream_chunks import AnswerChunks
from oruel.errors import InvalidParameter, UpstreamFailed
from oruel.kinds import abbreviate
from oruel.types import ChatRequest, Delta, UpstreamKind

T = TypeVar("T")

MAX_LINE = 2**20
MAX_ERROR_BYTES = 2**16
MAX_ERROR_CHARACTERS = 400
DONE = "[DONE]"


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
        client: httpx2.AsyncClient,
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
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._patience = patience

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Raises UpstreamFailed, or InvalidParameter where the other server says that the request is at fault."""
        answer = AnswerChunks(request, self._model)
        try:
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    if event == DONE:
                        break
                    for delta in answer.feed(event):
                        yield delta
                    if answer.is_cut:
                        break
        except httpx2.HTTPError as error:
            raise UpstreamFailed(f"The upstream can't be reached or broke off: {described(error)}") from error
        yield answer.finish()

    async def _events(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        body = json.dumps(upstream_body(request, self._kind, self._upstream_model)).encode()
        headers = {"content-type": "application/json", "accept": "text/event-stream", **self._headers}
        timeout = httpx2.Timeout(None, connect=self._patience.connect)
        reader = EventReader(MAX_LINE)
        limit = self._patience.first_token
        request_ = self._client.build_request("POST", self._url, content=body, headers=headers, timeout=timeout)
        response = await in_time(self._client.send(request_, stream=True), limit)
        try:
            await check(response, limit)
            chunks = response.aiter_bytes()
            while (chunk := await in_time(anext(chunks, None), limit)) is not None:
                for event in fed(reader, chunk):
                    limit = self._patience.idle
                    yield event
        finally:
            await response.aclose()


async def in_time(awaited: Awaitable[T], seconds: float) -> T:
    """Raises UpstreamFailed where it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await awaited
    except TimeoutError:
        raise UpstreamFailed(f"The upstream said nothing for {seconds:g} seconds.") from None


def fed(reader: EventReader, chunk: bytes) -> list[str]:
    try:
        return reader.feed(chunk)
    except ValueError as error:
        raise UpstreamFailed(str(error)) from error


async def check(response: httpx2.Response, seconds: float) -> None:
    """Raises InvalidParameter for what the request is at fault for, UpstreamFailed for all else."""
    if response.status_code == 200:
        kind = response.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise UpstreamFailed(f'The upstream answered with "{abbreviate(kind)}" in place of a stream.')
        return
    said = await error_text(response, seconds)
    if response.status_code in (400, 413, 422):
        raise InvalidParameter(f"The server behind this model refused the request: {said}")
    raise UpstreamFailed(f"The upstream answered with status {response.status_code}: {said}")


async def error_text(response: httpx2.Response, seconds: float) -> str:
    """What an error's body says, bounded; the message alone where it has OpenAI's shape, or SGLang's."""
    body, chunks = b"", response.aiter_bytes()
    while len(body) < MAX_ERROR_BYTES and (chunk := await in_time(anext(chunks, None), seconds)) is not None:
        body += chunk
    text = body[:MAX_ERROR_BYTES].decode(errors="replace")
    try:
        said = json.loads(text)
        error = said.get("error", said)
        text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError):
        pass
    return abbreviate(" ".join(text.split()), MAX_ERROR_CHARACTERS) or "nothing"


def described(error: Exception) -> str:
    return abbreviate(" ".join(str(error).split()), MAX_ERROR_CHARACTERS) or type(error).__name__
