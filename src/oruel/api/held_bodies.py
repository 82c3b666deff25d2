"""ASGI middleware that limits the memory of all request bodies together."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oruel.errors import Overloaded

MOST_BYTES = 256 * 2**20
# The first bytes of each body don't count, so that large bodies never block small ones.
FREE_BYTES = 2**16


class BoundHeldBodies:
    """Refuses bodies that would raise the total above `most` bytes. A body counts until its request ends, since its
    messages stay in memory. Its first `free` bytes don't count.
    """

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES, free: int = FREE_BYTES) -> None:
        self.app = app
        self.held = 0
        self._most = most
        self._free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = counted = 0

        async def receive_counting() -> Message:
            nonlocal arrived, counted
            message = await receive()
            arrived += len(message.get("body", b""))
            more = max(0, arrived - self._free) - counted
            self._require_room(more)
            self.held += more
            counted += more
            return message

        try:
            await self.app(scope, receive_counting, send)
        finally:
            self.held -= counted

    def _require_room(self, size: int) -> None:
        if size and self.held + size > self._most:
            raise Overloaded(
                f"The bodies of all current requests together may have {self._most} bytes, and this one exceeds that. "
                "Try again later."
            )
