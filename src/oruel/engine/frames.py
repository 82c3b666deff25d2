"""Reads the engine's messages from its pipe and passes each on as soon as its last byte has arrived."""

import asyncio
import os
from collections.abc import Callable

from oruel.engine.protocol import LENGTH, MAX_FRAME_BYTES, FromEngine, decode_from_engine


class FrameReader(asyncio.Protocol):
    """Calls `deliver` with each message, on the event loop. `ended` is done when the other end is closed.

    asyncio's stream reader would need two more turns of the loop per message, which are slow on a busy machine.
    """

    def __init__(self, deliver: Callable[[FromEngine], None]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._deliver = deliver
        self._data = bytearray()

    async def read(self, descriptor: int) -> None:
        """Takes ownership of the pipe, and closes it at its end."""
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: self, pipe)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._end()) is not None:
            message: FromEngine = decode_from_engine(self._data[LENGTH.size : end])
            del self._data[:end]
            self._deliver(message)

    def _end(self) -> int | None:
        """The index after the first complete message."""
        if len(self._data) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._data)
        assert length <= MAX_FRAME_BYTES
        end: int = LENGTH.size + length
        return end if len(self._data) >= end else None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
