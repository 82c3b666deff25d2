"""Parses server-sent events from bytes as they arrive, as the WHATWG standard defines them."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventReader:
    """`feed` returns the data of each complete event, in UTF-8. Ignores comments, which servers send as heartbeats,
    other fields, and an event that the end of the stream cuts.
    """

    def __init__(self, longest_event: int) -> None:
        self._longest_event = longest_event
        self._pending = bytearray()
        self._begun = False
        self._after_return = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Chunks may be cut anywhere; lines end with LF, CRLF or CR. Raises ValueError for an event of more bytes than
        `longest_event`.
        """
        # The byte order mark may be cut, too: nothing is read before it can be told from an event.
        looked_at = len(self._pending) - 1 if self._begun else 0
        self._pending += self._with_plain_lines(chunk)
        if not self._begun and len(self._pending) >= len(BYTE_ORDER_MARK):
            self._begun = True
            self._pending = self._pending.removeprefix(BYTE_ORDER_MARK)
        if (end := self._pending.rfind(b"\n\n", max(0, looked_at))) < 0:
            self._require_room()
            return []
        whole, self._pending = bytes(self._pending[:end]), self._pending[end + 2 :]
        self._require_room()
        return parse_events(whole)

    def _with_plain_lines(self, chunk: bytes) -> bytes:
        if self._after_return and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_return = False
        if b"\r" not in chunk:
            return chunk
        self._after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _require_room(self) -> None:
        if len(self._pending) > self._longest_event:
            raise ValueError(f"The server sent an event of more than {self._longest_event} bytes.")


def parse_events(blocks: bytes) -> list[bytes]:
    """The data of each of several events, which empty lines separate."""
    if blocks.startswith(b"data: "):
        # Nearly always each event is one line of data with nothing in between.
        plain = blocks[6:].split(b"\n\ndata: ")
        if blocks.count(b"\n") == 2 * (len(plain) - 1):
            return plain
    return [event for block in blocks.split(b"\n\n") if (event := event_data(block)) is not None]


def event_data(block: bytes) -> bytes | None:
    """The data of one event's lines, None if there is none."""
    lines = [line.partition(b":") for line in block.split(b"\n")]
    data = [value.removeprefix(b" ") for field, _, value in lines if field == b"data"]
    return b"\n".join(data) if data else None
