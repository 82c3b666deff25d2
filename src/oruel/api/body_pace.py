"""ASGI middleware that limits how long the body of a request may take to arrive."""

import asyncio
import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oruel.api.deadline import requested_timeout
from oruel.errors import BodyTimedOut, InvalidParameter

SLOWEST_BYTES_PER_SECOND = 2**14


class LimitBodyPace:
    """Allows a body `seconds`, plus a second for each SLOWEST_BYTES_PER_SECOND received, but never more than
    x-request-timeout. Reading a body that takes longer raises BodyTimedOut.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = PacedBody(receive, self.seconds, timeout_in(scope)).receive
        await self.app(scope, receive, send)


class PacedBody:
    def __init__(self, receive: Receive, seconds: float, timeout: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._timeout = timeout
        self._start = asyncio.get_running_loop().time()
        self._size = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """Once the body is complete, waits without a limit, as the next message is the disconnect."""
        if self._is_complete:
            return await self._receive()
        allowed = min(self._timeout, self._seconds + self._size / SLOWEST_BYTES_PER_SECOND)
        limit = asyncio.timeout_at(self._start + allowed)
        try:
            async with limit:
                message = await self._receive()
        except TimeoutError:
            if not limit.expired():
                raise
            raise BodyTimedOut(
                f"The body was not complete within {allowed:.3g} seconds; {self._size} bytes arrived. Send it faster."
            ) from None
        self._size += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        return message


def timeout_in(scope: Scope) -> float:
    """In seconds. Infinite if the header is invalid; the endpoint refuses it later, with a message of its own."""
    try:
        return requested_timeout(Headers(scope=scope))
    except InvalidParameter:
        return math.inf
