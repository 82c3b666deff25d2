"""Server-sent events. Headers are sent with the first event or heartbeat. An error before that has its own status; a
later error is sent as an event.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from oruel.api.connection import while_connected
from oruel.api.edge import ABORT, ABORTED_FOR
from oruel.api.failures import error_json, translate
from oruel.api.record import record_in
from oruel.errors import DeadlineExceeded

# How long a client has to read the error event after a missed deadline.
READ_SECONDS = 1.0
HEARTBEAT = b": waiting\n\n"
DONE = b"data: [DONE]\n\n"

# These characters don't end a line of an event stream, but clients that use str.splitlines treat them as line breaks.
# In JSON they occur only inside strings, where they can be escaped.
LINE_BREAKS = {b"\xc2\x85": rb"\u0085", b"\xe2\x80\xa8": rb"\u2028", b"\xe2\x80\xa9": rb"\u2029"}


def event(json: bytes) -> bytes:
    return b"data: %b\n\n" % (json if json.isascii() else without_line_breaks(json))


def without_line_breaks(json: bytes) -> bytes:
    for character, escaped in LINE_BREAKS.items():
        json = json.replace(character, escaped)
    return json


Events = AsyncGenerator[Mapping[str, str] | bytes, None]
"""Headers of the response, then complete events."""


class EventStream(Response):
    """The response starts with the headers that `events` yield; with `headers` only if a heartbeat comes first. An
    exception of `events` is raised if the response hasn't started yet, so that it gets its own status; later it becomes
    an event. [DONE] follows. `due`: the deadline of the whole answer, a time of the event loop.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: Events, heartbeat_seconds: float, headers: Mapping[str, str], due: float = math.inf
    ) -> None:
        self.status_code = 200
        self.background = None
        self._early_headers = headers
        self._events = events
        self._heartbeat_seconds = heartbeat_seconds
        self._due = due

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outlet = EventWriter(send, self._headers_with(self._early_headers))
        outlet.start_beating(self._heartbeat_seconds)
        try:
            async with self._while_read(scope):
                await while_connected(receive, self._send_events(scope, outlet))
                # Outside while_connected, because a completed response counts as a disconnect.
                await outlet.write(DONE, last=True)
        finally:
            await outlet.stop_beating()

    @asynccontextmanager
    async def _while_read(self, scope: Scope) -> AsyncIterator[None]:
        """Disconnects a client that doesn't read, shortly after the deadline: `events` enforces the deadline itself,
        but is suspended while a write waits for the client. Raises ClientDisconnect.
        """
        limit = asyncio.timeout_at(self._due + READ_SECONDS if math.isfinite(self._due) else None)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            state = scope.setdefault("state", {})
            state[ABORTED_FOR] = DeadlineExceeded.code
            state.get(ABORT, lambda: None)()
            raise ClientDisconnect from None

    def _headers_with(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no", **headers})
        return self.raw_headers

    async def _send_events(self, scope: Scope, outlet: "EventWriter") -> None:
        try:
            async with aclosing(self._events) as events:
                async for item in events:
                    if isinstance(item, bytes):
                        await outlet.write(item)
                    else:
                        outlet.headers = self._headers_with(item)
        except Exception as error:
            if not outlet.open:
                raise
            await outlet.write(event(error_json(translate(error, record_in(scope)))))


class EventWriter:
    """Writes complete events in order, and the headers before the first of them."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self.open = False
        self.headers = headers
        self._send = send
        self._lock = asyncio.Lock()
        self._written = 0
        self._beating: asyncio.Future[None] | None = None

    async def write(self, data: bytes, *, last: bool = False) -> None:
        async with self._lock:
            if not self.open:
                self.open = True
                await self._send({"type": "http.response.start", "status": 200, "headers": self.headers})
            self._written += 1
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def start_beating(self, seconds: float) -> None:
        """Writes a comment line whenever nothing has been written for between `seconds` and twice that."""
        self._next = asyncio.get_running_loop().call_later(seconds, self._beat, seconds, self._written)

    async def stop_beating(self) -> None:
        self._next.cancel()
        if self._beating:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    def _beat(self, seconds: float, before: int) -> None:
        """`before`: how much had been written `seconds` ago."""
        if self._written == before and not (self._beating and not self._beating.done()):
            self._beating = asyncio.ensure_future(self.write(HEARTBEAT))
        self.start_beating(seconds)
