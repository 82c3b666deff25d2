"""Reads server-sent events from the bytes of a response."""

from collections.abc import Iterable, Iterator

from oruel.errors import ChatFailed
from oruel.http.events import EventReader

MAX_EVENT = 16 * 2**20


def read_events(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yields the data of each event. Raises ChatFailed for an event of more than MAX_EVENT bytes."""
    reader = EventReader(MAX_EVENT)
    for chunk in chunks:
        try:
            yield from (event.decode(errors="replace") for event in reader.feed(chunk))
        except ValueError as error:
            raise ChatFailed(str(error)) from error
