"""A client of the chat completions protocol, for any base URL: decodes responses into typed chunks."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import msgspec

from oruel.addresses import is_local_url
from oruel.cli.sse import read_events
from oruel.errors import ChatFailed
from oruel.settings import Secret

DONE = "[DONE]"
# Some servers send nothing while they process a long prompt; the user can press Ctrl-C.
TIMEOUT = httpx2.Timeout(600, connect=10)
REMARKS = {"x-oruel-ignored": "ignored by the server", "x-oruel-differs": "differs from the contract"}


Shape = TypeVar("Shape", bound=msgspec.Struct)


class ClientTokenLogprob(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list["ClientTokenLogprob"] | None = None


class ClientLogprobs(msgspec.Struct):
    content: list[ClientTokenLogprob] | None = None


class ClientFunction(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ClientCall(msgspec.Struct):
    index: int = 0
    function: ClientFunction = msgspec.field(default_factory=ClientFunction)


class ClientDelta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ClientCall] | None = None


class ClientChoice(msgspec.Struct):
    index: int = 0
    delta: ClientDelta = msgspec.field(default_factory=ClientDelta)
    finish_reason: str | None = None
    logprobs: ClientLogprobs | None = None
    trace: list[msgspec.Raw] | None = None


class ClientUsage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ClientChunk(msgspec.Struct):
    """One event of a stream, with only the fields that chat shows. Servers differ in which fields they omit."""

    model: str | None = None
    tier: str | None = None
    choices: list[ClientChoice] | None = None
    usage: ClientUsage | None = None
    error: Any = None


class ModelEntry(msgspec.Struct):
    id: str


class ModelList(msgspec.Struct):
    data: list[ModelEntry]


@dataclass(frozen=True)
class ChatResponse:
    """An answer in progress. `remarks` are notes about the request from the response headers."""

    remarks: tuple[str, ...]
    chunks: Iterator[ClientChunk]


class ChatClient:
    """Every method raises ChatFailed on any failure, with a message for the user."""

    def __init__(self, base_url: str, api_key: str | None) -> None:
        """Raises InvalidParameter for a key that a header can't carry."""
        self._base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key is not None:
            Secret().parse(api_key, "--api-key")
            self._headers["Authorization"] = f"Bearer {api_key}"

    def first_model(self) -> str:
        with self._request("GET", "/models") as response:
            models = decode_json(response.read(), ModelList).data
        if not models:
            raise ChatFailed(f"{self._base_url} lists no models. Name one with --model.")
        return models[0].id

    @contextmanager
    def answer(self, body: Mapping[str, Any]) -> Iterator[ChatResponse]:
        """Requests an answer. Leaving the block closes the connection, which stops the answer."""
        with self._request("POST", "/chat/completions", content=json.dumps(body)) as response:
            if "text/event-stream" not in response.headers.get("content-type", ""):
                raise ChatFailed(f"{response.url} did not answer with an event stream.")
            yield ChatResponse(header_remarks(response.headers), parse_chunks(read_events(response.iter_bytes())))

    @contextmanager
    def _request(self, method: str, path: str, content: str | None = None) -> Iterator[httpx2.Response]:
        """Sends a request on its own connection, since an interrupted connection can't be reused."""
        url = self._base_url + path
        with (
            translate_errors(url),
            httpx2.Client(headers=self._headers, timeout=TIMEOUT, trust_env=not is_local_url(url)) as http,
            http.stream(method, url, content=content) as response,
        ):
            if not response.is_success:
                raise ChatFailed(f"{url} answered {response.status_code}: {response_error(response.read())}")
            yield response


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise ChatFailed(
            f"{url} can't be reached: {error}. Start a server with `oruel serve`, or name another with --base-url."
        ) from error
    except httpx2.InvalidURL as error:
        raise ChatFailed(f"{url} is not a valid URL: {error}.") from error
    except httpx2.HTTPError as error:
        raise ChatFailed(f"The connection to {url} failed: {str(error) or type(error).__name__}.") from error


def header_remarks(headers: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{words}: {headers[name]}" for name, words in REMARKS.items() if name in headers)


def parse_chunks(stream: Iterable[str]) -> Iterator[ClientChunk]:
    """Raises ChatFailed for an error event, and for a stream that ends without [DONE]."""
    for data in stream:
        if data == DONE:
            return
        chunk = decode_json(data.encode(), ClientChunk)
        if chunk.error is not None:
            raise ChatFailed(error_text(chunk.error))
        yield chunk
    raise ChatFailed("The connection closed before the answer was complete.")


def decode_json(data: bytes, kind: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ChatFailed(f"The server sent an invalid response: {error}.") from error


def response_error(body: bytes) -> str:
    """The message of an error body in OpenAI's format, or else the beginning of the body."""
    try:
        return error_text(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return body[:500].decode(errors="replace") or "an empty body"


def error_text(error: object) -> str:
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return error if isinstance(error, str) else json.dumps(error)[:500]
