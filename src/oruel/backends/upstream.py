"""Another OpenAI-compatible server as a Backend: validates its stream and forwards it as it arrives."""

import aiohttp
import msgspec

from oruel.backends.prompt_bound import most_prompt_tokens
from oruel.backends.upstream_body import upstream_body
from oruel.backends.upstream_failure import upstream_error
from oruel.backends.upstream_stream import UpstreamStream
from oruel.errors import UpstreamFailed, UpstreamTimedOut
from oruel.http.exchange import DEFAULT_TIMEOUTS, EventTimeout, OtherServer, UpstreamTimeouts, drain, read_available
from oruel.http.failure import one_line
from oruel.types import HOPS, Accepted, Answer, ChatRequest, Prepared, UpstreamKind

# The highest max_tokens that a request may ask for.
MAX_TOKENS = 131072
# After the last token, a server has this long to send the usage and [DONE].
USAGE_SECONDS = 1.0
DIFFERS = "x-oruel-differs"

encode = msgspec.json.Encoder().encode


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
        timeouts: UpstreamTimeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self._server = OtherServer(client, timeouts, {"authorization": f"Bearer {key}"} if key else {})
        self._url = f"{base_url}/chat/completions"
        self._kind: UpstreamKind = kind
        self._model = model
        self._upstream_model = upstream_model
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
        body = encode(upstream_body(request, self._kind, self._upstream_model))
        hops = {HOPS: str(request.hops + 1)}
        async with self._server.stream(self._url, body, wait, upstream_error, hops) as response:
            if differs := differs_of(response):
                yield Accepted(differs=differs, progress=answer.progress)
            while not answer.is_over and (data := await next_bytes(response, wait, answer)):
                for delta in answer.feed(data):
                    yield delta
                wait = self._next_wait(wait, answer)
            yield answer.finish()
            await drain(response)

    def _next_wait(self, wait: EventTimeout, answer: UpstreamStream) -> EventTimeout:
        """Comments and empty chunks don't reset the first token's timeout; nothing resets the one after the end."""
        if answer.has_ended:
            return wait if wait.is_last else EventTimeout(USAGE_SECONDS, is_last=True)
        return EventTimeout(self._timeouts.idle) if answer.heard and answer.has_begun else wait


async def next_bytes(response: aiohttp.ClientResponse, wait: EventTimeout, answer: UpstreamStream) -> bytes:
    """The next bytes, empty at the end. Ignores timeouts and connection errors once the answer is complete."""
    try:
        return await wait.enforce(read_available(response))
    except (UpstreamTimedOut, aiohttp.ClientError, OSError):
        if answer.has_ended:
            return b""
        raise


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
