"""Limits on connections, enforced before a request reaches a route: the size and pace of a request's head, idle time,
unread answers, and the number of connections.
"""

import asyncio
import enum
import time
from collections import Counter
from dataclasses import dataclass, field

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from oruel.api.failures import error_headers, error_json
from oruel.api.head_joiner import HeadJoiner
from oruel.errors import AnswerUnread, HeadTimedOut, HeadTooLarge, InvalidRequestHead, OruelError, TooManyConnections

MAX_HEAD_BYTES = 2**16
# How many bytes of chunk sizes, extensions and trailers a body may have per byte: a chunk of one byte takes six.
FRAMING_RATIO = 8
# The rest of a refused request is read for this long, up to these sizes. A client that still sends when its connection
# is closed may lose the response before it reads it.
DRAIN_SECONDS = 2.0
DRAINED_HEAD_BYTES, DRAINED_BODY_BYTES = 2**18, 2**24
SWEEP_SECONDS = 0.25
# A client that reads more slowly than this for longer than write_seconds is disconnected.
SLOWEST_READ_BYTES_PER_SECOND = 2**11
# This many connections over the limit get a 503; further ones are closed at once.
MAX_REFUSED = 64


@dataclass
class EdgeLimits:
    """The number of connections, in total and per address, and limits in seconds: to receive the head of a request,
    between two requests, and for the client to read what was sent.
    """

    connections: int = 1024
    per_address: int = 512
    head_seconds: float = 10.0
    idle_seconds: float = 75.0
    write_seconds: float = 60.0
    open_by_address: Counter[str] = field(default_factory=Counter)


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration, with the limits that each connection reads. WebSockets are not supported."""

    def __init__(self, app: object, limits: EdgeLimits) -> None:
        super().__init__(
            app,  # type: ignore[arg-type]  # an ASGI application; uvicorn's own type is narrower
            http=EdgeProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=max(1, round(limits.idle_seconds)),
        )
        self.limits = limits


ABORT = "oruel.abort"
"""The key, in a request's ASGI state, of the function that aborts its connection."""
ABORTED_FOR = "oruel.aborted_for"
"""The key, in a request's ASGI state, of the error code if the server aborted the connection."""


class Phase(enum.Enum):
    """REST: the response is complete, and the rest of the request's body is discarded. DRAIN: the connection was
    refused, and further data is discarded.
    """

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    RESPONSE = enum.auto()
    REST = enum.auto()
    DRAIN = enum.auto()


@dataclass(frozen=True, slots=True)
class Unread:
    """`size` bytes were unread at `since`, a time of time.monotonic."""

    since: float
    size: int

    def is_read_too_slowly(self, now: float, size: int, seconds: float) -> bool:
        """`size`: the bytes that are still unread. The time allowed is `seconds`, and more for each byte read since."""
        return now - self.since > seconds + (self.size - size) / SLOWEST_READ_BYTES_PER_SECOND


class EdgeProtocol(HttpToolsProtocol):
    """One connection. Refuses requests beyond the limits with an error in OpenAI's shape, before they cost anything
    else. Ignores Upgrade headers, as RFC 9110 allows.
    """

    config: EdgeConfig

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(HeadJoiner(transport, self.loop))  # type: ignore[arg-type]  # it delegates
        limits = self.config.limits
        self._address = self.client[0] if self.client else ""
        limits.open_by_address[self._address] += 1
        self._head_bytes = self._body_bytes = self._framing_bytes = self._drained_bytes = 0
        self._is_replay = False
        self._refusal: OruelError | None = None
        self._unread: Unread | None = None
        self._enter(Phase.HEAD)
        if len(self.connections) > limits.connections + MAX_REFUSED:
            transport.abort()
        elif len(self.connections) > limits.connections:
            self._refusal = TooManyConnections(
                f"This server already has {limits.connections} connections, its max_connections. Try again later."
            )
        elif limits.open_by_address[self._address] > limits.per_address:
            self._refusal = TooManyConnections(
                f"Your address already has {limits.per_address} connections, the max_connections_per_address of this "
                "server. Reuse connections, or close some."
            )

    def connection_lost(self, exc: Exception | None) -> None:
        open_by_address = self.config.limits.open_by_address
        open_by_address[self._address] -= 1
        if open_by_address[self._address] <= 0:
            del open_by_address[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.DRAIN:
            self._drain(len(data))
            return
        if self._refusal:
            self._refuse(self._refusal)
            return
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD)
        self._unset_keepalive_if_required()
        self._feed(data)
        self._enforce_sizes(len(data))

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(InvalidRequestHead("The request is not valid HTTP/1.1."))

    def _drain(self, size: int) -> None:
        self._drained_bytes += size
        if self._drained_bytes > (DRAINED_BODY_BYTES if self._body_bytes else DRAINED_HEAD_BYTES):
            self.transport.abort()

    def _enforce_sizes(self, size: int) -> None:
        if self._phase is Phase.HEAD:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
        elif self._phase is Phase.REST:
            self._drain(size)
        elif self._phase is Phase.BODY:
            self._framing_bytes += size
            if self._framing_bytes > MAX_HEAD_BYTES + FRAMING_RATIO * self._body_bytes:
                self._refuse(
                    InvalidRequestHead("The body's chunks are too small, or their extensions and trailers too long.")
                )

    def _ignore_upgrade(self, rest: bytes) -> None:
        """The parser stops after the head of a request with an Upgrade header. A new parser reads the body."""
        framing = [
            name + b": " + value for name, value in self.headers if name in (b"content-length", b"transfer-encoding")
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._is_replay = True
        self._feed(b"\r\n".join([b"POST / HTTP/1.1", *framing, b"", b""]) + rest)

    def on_message_begin(self) -> None:
        if not self._is_replay and self._phase is not Phase.DRAIN:
            self._enter(Phase.HEAD)
            self._head_bytes = self._body_bytes = self._framing_bytes = 0
            super().on_message_begin()
            self.scope["state"][ABORT] = self.transport.abort

    def on_url(self, url: bytes) -> None:
        if not self._is_replay:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Headers after the body are trailers, which are ignored.
        if self._phase is Phase.HEAD and not self._is_replay:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_replay or self._phase is Phase.DRAIN:
            self._is_replay = False
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse_head()
            return
        self._enter(Phase.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._phase is not Phase.DRAIN:
            self._body_bytes += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._phase is Phase.DRAIN:
            return
        if self.parser.should_upgrade() and self._has_body():
            return  # The body hasn't been read yet.
        if self._phase is Phase.REST:
            self._enter(Phase.IDLE)
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            return
        self._enter(Phase.RESPONSE)
        super().on_message_complete()

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def on_response_complete(self) -> None:
        # If requests are pipelined, the response belongs to an earlier one.
        if self._phase is Phase.BODY and not self.pipeline:
            self._enter(Phase.REST)
        elif self._phase is Phase.RESPONSE and not self.pipeline:
            self._enter(Phase.IDLE)
        super().on_response_complete()

    def sweep(self, now: float) -> None:
        """Ends what takes too long. Called every SWEEP_SECONDS; `now` is a time of time.monotonic."""
        waited = now - self._since
        if self.transport.is_closing() and self._unread is None:
            self._unread = Unread(now, self._unread_bytes())
        if self._reads_too_slowly(now):
            self._abort_unread()
        elif self._phase in (Phase.REST, Phase.DRAIN) and waited > DRAIN_SECONDS:
            self.transport.abort()
        elif self._phase is Phase.HEAD and waited > self.config.limits.head_seconds:
            if self._head_bytes:
                limit = f"{self.config.limits.head_seconds:g} seconds, the head_seconds of this server"
                self._refuse(HeadTimedOut(f"The request's head took longer than {limit}. Send it faster."))
            else:
                self.transport.close()

    def _reads_too_slowly(self, now: float) -> bool:
        seconds = self.config.limits.write_seconds
        return self._unread is not None and self._unread.is_read_too_slowly(now, self._unread_bytes(), seconds)

    def _unread_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def _abort_unread(self) -> None:
        if self.cycle is not None:
            self.cycle.scope["state"][ABORTED_FOR] = AnswerUnread.code
        self.transport.abort()

    def pause_writing(self) -> None:
        self._unread = self._unread or Unread(time.monotonic(), self._unread_bytes())
        super().pause_writing()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self._unread = None
        super().resume_writing()

    def _refuse_head(self) -> None:
        self._refuse(HeadTooLarge(f"The request line and headers must be at most {MAX_HEAD_BYTES} bytes together."))

    def _refuse(self, error: OruelError) -> None:
        """Sends the error unless another response is in progress, and closes the connection once the client has had
        time to read it.
        """
        if self._phase is Phase.DRAIN:
            return
        self._enter(Phase.DRAIN)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = error_json(error)
        headers = {"content-type": "application/json", "content-length": len(body), "connection": "close"}
        lines = (f"{name}: {value}\r\n".encode() for name, value in (headers | error_headers(error)).items())
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _enter(self, phase: Phase) -> None:
        self._phase, self._since = phase, time.monotonic()


async def sweep_connections(state: "uvicorn.server.ServerState") -> None:
    """Calls `sweep` of every connection at intervals, until it is cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = time.monotonic()
        for connection in list(state.connections):
            assert isinstance(connection, EdgeProtocol)
            connection.sweep(now)
