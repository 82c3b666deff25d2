"""Server-sent events out of bytes as they arrive, as the WHATWG standard reads them."""

import codecs
import io


class EventReader:
    """`feed` gives the data of each event that is complete. Comments, which servers send as heartbeats, and other
    fields are passed over, and so is an event that the end of the stream cuts.
    """

    def __init__(self, longest_line: int) -> None:
        characters = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._decoder = io.IncrementalNewlineDecoder(characters, translate=True)
        self._longest_line = longest_line
        self._pending = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Characters may be cut anywhere between the chunks; lines end with LF, CRLF or CR. Raises ValueError for a
        line of more characters than `longest_line`.
        """
        *lines, self._pending = (self._pending + self._decoder.decode(chunk)).split("\n")
        if len(self._pending) > self._longest_line:
            raise ValueError(f"The server sent a line of more than {self._longest_line} characters.")
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: str) -> str | None:
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif not line and self._data:
            event, self._data = "\n".join(self._data), []
            return event
        return None
