"""Server-sent events out of the bytes of a response."""

from collections.abc import Iterable, Iterator

from oruel.backends.sse import EventReader
from oruel.errors import ChatFailed

MAX_LINE = 16 * 2**20


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event. Raises ChatFailed for a line of more than MAX_LINE characters."""
    reader = EventReader(MAX_LINE)
    for chunk in chunks:
        try:
            yield from reader.feed(chunk)
        except ValueError as error:
            raise ChatFailed(str(error)) from error
