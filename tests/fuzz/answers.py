"""Parses what a server sent on one connection with h11, which shares no code with the server's parser."""

from dataclasses import dataclass, field

import h11

from tests.soak.wrong import CheckFailed

LARGEST_HEAD = 200_000


@dataclass
class Answer:
    """`method` is that of the request. Header names are in lower case."""

    method: str
    status: int
    headers: dict[bytes, bytes]
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False


class Answers:
    """`methods` are those of the requests in order; any further request counts as GET."""

    def __init__(self, methods: tuple[str, ...]) -> None:
        self.found: list[Answer] = []
        self.received = bytearray()
        self._methods = methods
        self._is_over = False
        self._connection = self._next_connection()

    @property
    def whole(self) -> int:
        return sum(answer.is_whole for answer in self.found)

    def feed(self, data: bytes) -> None:
        """Empty data is the end of the connection. Raises CheckFailed for an invalid HTTP response."""
        self.received += data
        if self._is_over:
            return
        try:
            self._connection.receive_data(data)
            while self._handle(self._connection.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            if not data:
                # An incomplete response: the caller, which knows the request, judges it.
                self._is_over = True
                return
            raise CheckFailed(f"invalid HTTP response: {error}: {bytes(self.received[-300:])!r}") from error

    def _handle(self, event: object) -> bool:
        """Handles an event. Returns whether there may be another."""
        if isinstance(event, h11.Response):
            self.found.append(Answer(self._method, event.status_code, dict(event.headers)))
        elif isinstance(event, h11.Data):
            self.found[-1].body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.found[-1].is_whole = True
            self._start_next()
        else:
            return isinstance(event, h11.InformationalResponse)
        return True

    def _start_next(self) -> None:
        rest, ended = self._connection.trailing_data
        self._connection = self._next_connection()
        self._is_over = ended
        if rest:
            self._connection.receive_data(rest)

    @property
    def _method(self) -> str:
        return self._methods[len(self.found)] if len(self.found) < len(self._methods) else "GET"

    def _next_connection(self) -> h11.Connection:
        """A client connection that has sent its request, and so expects an answer."""
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        method = self._method if self._method != "CONNECT" else "GET"
        connection.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        connection.send(h11.EndOfMessage())
        return connection
