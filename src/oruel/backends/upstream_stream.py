"""Parses the body of another server's stream into deltas. Invalid input raises only typed errors."""

from oruel.backends.upstream_chunks import ChunkReader
from oruel.errors import UpstreamFailed
from oruel.http.events import EventReader
from oruel.http.exchange import unreadable_as_failure
from oruel.types import ChatRequest, Delta, Progress

MAX_EVENT = 2**20


class UpstreamStream:
    """Parses the stream of one answer. `heard`: whether the last bytes completed an event."""

    def __init__(self, request: ChatRequest, model: str) -> None:
        self.heard = False
        self._events = EventReader(MAX_EVENT)
        self._answer = ChunkReader(request, model)

    @property
    def has_begun(self) -> bool:
        return self._answer.has_begun

    @property
    def has_ended(self) -> bool:
        """Whether every choice has ended; the usage may still follow."""
        return self._answer.has_ended

    @property
    def is_over(self) -> bool:
        """Whether the rest of the stream can be ignored."""
        return self._answer.is_over

    def progress(self) -> Progress:
        return self._answer.progress()

    def feed(self, data: bytes) -> list[Delta]:
        """Raises UpstreamFailed."""
        with unreadable_as_failure():
            events = self._read(data)
            self.heard = bool(events)
            return self._answer.feed(events)

    def _read(self, data: bytes) -> list[bytes]:
        try:
            return self._events.feed(data)
        except ValueError as error:
            message = f"The server behind this model sent an event of more than {MAX_EVENT} bytes."
            raise UpstreamFailed(message) from error

    def finish(self) -> Delta:
        """The last delta, with the usage. Raises UpstreamFailed if a choice has no end."""
        with unreadable_as_failure():
            return self._answer.finish()
