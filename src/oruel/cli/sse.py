"""Server-sent events out of the bytes of a response, as the WHATWG standard reads them."""

import codecs
import io
from collections.abc import Iterable, Iterator

from oruel.errors import ChatFailed

MAX_LINE = 16 * 2**20


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event. Comments, which servers send as heartbeats, and other fields are passed over, and so
    is an event that the end of the stream cuts. Raises ChatFailed for a line of more than MAX_LINE characters.
    """
    data: list[str] = []
    for line in lines(chunks):
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Complete lines, ended by LF, CRLF or CR; characters may be cut anywhere between the chunks."""
    characters = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    decoder = io.IncrementalNewlineDecoder(characters, translate=True)
    pending = ""
    for chunk in chunks:
        *complete, pending = (pending + decoder.decode(chunk)).split("\n")
        yield from complete
        if len(pending) > MAX_LINE:
            raise ChatFailed(f"The server sent a line of more than {MAX_LINE} characters.")
