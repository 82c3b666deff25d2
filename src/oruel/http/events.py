"""An incremental parser of server-sent events, as specified by the WHATWG HTML standard."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventReader:
    """Ignores comments, which servers send as heartbeats, all fields but data, and an incomplete event at the end."""

    def __init__(self, longest_event: int) -> None:
        self._longest_event = longest_event
        self._pending = bytearray()
        self._begun = False
        self._after_return = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Returns the data of each complete event. Chunks may be split anywhere, even within a character; lines end
        with LF, CRLF or CR. Raises ValueError if an event has more than `longest_event` bytes.
        """
        # The first chunks may contain only a part of a byte order mark.
        searched = len(self._pending) - 1 if self._begun else 0
        self._pending += self._normalize_lines(chunk)
        if not self._begun and len(self._pending) >= len(BYTE_ORDER_MARK):
            self._begun = True
            self._pending = self._pending.removeprefix(BYTE_ORDER_MARK)
        if (end := self._pending.rfind(b"\n\n", max(0, searched))) < 0:
            self._check_length()
            return []
        complete, self._pending = bytes(self._pending[:end]), self._pending[end + 2 :]
        self._check_length()
        return parse_events(complete)

    def _normalize_lines(self, chunk: bytes) -> bytes:
        if self._after_return and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_return = False
        if b"\r" not in chunk:
            return chunk
        self._after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check_length(self) -> None:
        if len(self._pending) > self._longest_event:
            raise ValueError(f"The server sent an event of more than {self._longest_event} bytes.")


def parse_events(blocks: bytes) -> list[bytes]:
    """The data of each event. Empty lines separate the events."""
    if blocks.startswith(b"data: "):
        # The fast path: nearly always, each event is one line of data.
        events = blocks[6:].split(b"\n\ndata: ")
        if blocks.count(b"\n") == 2 * (len(events) - 1):
            return events
    return [event for block in blocks.split(b"\n\n") if (event := event_data(block)) is not None]


def event_data(block: bytes) -> bytes | None:
    """The data of one event, None if it has none."""
    lines = [line.partition(b":") for line in block.split(b"\n")]
    data = [value.removeprefix(b" ") for field, _, value in lines if field == b"data"]
    return b"\n".join(data) if data else None
