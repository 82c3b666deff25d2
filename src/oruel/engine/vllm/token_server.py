"""The HTTP side of a vLLM: its token API and what it tells about itself. Bad answers become typed errors."""

from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import aiohttp
import msgspec

from oruel.engine.vllm.chunks import TokenChunk, read_chunk
from oruel.errors import OruelError, Overloaded, UpstreamFailed, UpstreamTimedOut, UpstreamUnavailable, VLLMUnusable
from oruel.http.events import EventReader
from oruel.http.exchange import (
    EventTimeout,
    OtherServer,
    UpstreamTimeouts,
    drain,
    read_available,
    unreadable_as_failure,
)
from oruel.http.failure import one_line, parse_error, parse_retry_after
from oruel.http.redaction import redact_error

MAX_EVENT = 2**20
# How long vLLM may take to tell something about itself.
TELL_SECONDS = 10.0
# How long an aborted request may take to report its usage.
ABORT_SECONDS = 1.0

encode = msgspec.json.Encoder().encode


class ServedModel(msgspec.Struct):
    id: str


class ServedModels(msgspec.Struct):
    data: list[ServedModel]


class ServedVersion(msgspec.Struct):
    version: str


Told = TypeVar("Told", ServedModels, ServedVersion)


class TokenServer:
    """`root` is the address of a vLLM without /v1."""

    def __init__(self, session: aiohttp.ClientSession, root: str, key: str | None, timeouts: UpstreamTimeouts) -> None:
        self.root = root
        self._key = key
        self._timeouts = timeouts
        self._server = OtherServer(session, timeouts, {"authorization": f"Bearer {key}"} if key else {})

    def hide_key(self, error: OruelError) -> None:
        """Removes the key from the error, which vLLM may have quoted."""
        if self._key:
            redact_error(error, self._key)

    async def version(self) -> str:
        """Raises UpstreamFailed."""
        return (await self._get("/version", ServedVersion)).version

    async def models(self) -> list[str]:
        """The names under which requests reach the model. Raises UpstreamFailed."""
        return [model.id for model in (await self._get("/v1/models", ServedModels)).data]

    async def generate(self, body: dict[str, Any]) -> AsyncGenerator[TokenChunk, None]:
        """The events of one request; first an empty one, once vLLM has accepted it. Closing the generator aborts it.

        Raises Overloaded, VLLMUnusable, UpstreamFailed.
        """
        wait = EventTimeout(self._timeouts.first_token)
        url = f"{self.root}/inference/v1/generate"
        async with self._server.stream(url, encode(body), wait, refusal_of) as response:
            yield TokenChunk()
            events = EventReader(MAX_EVENT)
            while data := await next_bytes(response, wait):
                for event in read_events(events, data):
                    chunk = read_chunk(event)
                    if chunk is None:
                        await drain(response)
                        return
                    if chunk.error is not None:
                        raise stream_error(chunk.error)
                    yield chunk
                    wait = EventTimeout(self._timeouts.idle)
        raise UpstreamFailed("The vLLM behind this model closed the connection before the answer was complete.")

    async def abort(self, request_id: str) -> None:
        """Ends a request; its stream then reports its usage. Raises UpstreamFailed."""
        body = encode({"request_ids": [f"generate-tokens-{request_id}"]})
        url = f"{self.root}/inference/v1/abort_requests"
        status, answer = await self._server.fetch("POST", url, body, EventTimeout(ABORT_SECONDS))
        if status != 200:
            raise refusal_of(status, "", answer)

    async def _get(self, path: str, kind: type[Told]) -> Told:
        wait = EventTimeout(min(TELL_SECONDS, self._timeouts.first_token))
        try:
            status, body = await self._server.fetch("GET", f"{self.root}{path}", None, wait)
        except UpstreamUnavailable as error:
            raise UpstreamUnavailable(
                "The vLLM behind this model can't be reached. Start it, or correct base_url in the catalog.",
                detail=error.detail,
            ) from error
        except UpstreamTimedOut as error:
            raise UpstreamTimedOut(f"{error.message} Restart the vLLM there, or correct base_url.") from error
        if status != 200:
            raise refusal_of(status, "", body)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise VLLMUnusable(
                f"What answers for this model is no vLLM: its answer to GET {path} can't be read. Correct base_url in "
                "the catalog.",
                detail=self.root,
            ) from error


async def next_bytes(response: aiohttp.ClientResponse, wait: EventTimeout) -> bytes:
    """The next bytes of the stream, empty at its end."""
    with unreadable_as_failure():
        return await wait.enforce(read_available(response))


def read_events(events: EventReader, data: bytes) -> list[bytes]:
    try:
        return events.feed(data)
    except ValueError as error:
        raise UpstreamFailed(f"The vLLM behind this model sent an event of more than {MAX_EVENT} bytes.") from error


def refusal_of(status: int, retry_after: str, body: bytes) -> OruelError:
    """The error for a status other than 200."""
    said = one_line(parse_error(body).get("message", "")) or "no message"
    match status:
        case 401:
            return VLLMUnusable("The vLLM behind this model refuses the key of this deployment. Check key_variable.")
        case 403:
            return VLLMUnusable(
                "The vLLM behind this model doesn't serve its token API. Start it with --enable-scale-out.", detail=said
            )
        case 404:
            return VLLMUnusable(
                "The vLLM behind this model doesn't know what it was asked for: it serves another model, or is older "
                "than 0.32. Check base_url and model.",
                detail=said,
            )
        case 429 | 503:
            return Overloaded(
                "The vLLM behind this model is overloaded. Try again later.", retry_after=parse_retry_after(retry_after)
            )
        case 502 | 504:
            return UpstreamUnavailable(f"The vLLM behind this model answered with status {status}.", detail=said)
    return UpstreamFailed(f"The vLLM behind this model answered with status {status}.", detail=said)


def stream_error(error: Any) -> OruelError:
    """The error for one that vLLM reports within a stream: its code is what the status would have been."""
    code = error.get("code") if isinstance(error, dict) else None
    body = msgspec.json.encode(error)
    return refusal_of(code if isinstance(code, int) and code != 200 else 500, "", body)
