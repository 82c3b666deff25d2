"""Requests to an ASGI app without a socket. Unlike httpx2.ASGITransport it delivers a stream while it is produced, and
tells the app when the client goes away.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx2

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Conversation(httpx2.AsyncByteStream):
    """One request and its response, which is the byte stream."""

    def __init__(self, app: App, scope: Message, body: bytes) -> None:
        self._request: Message | None = {"type": "http.request", "body": body}
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._task = asyncio.ensure_future(app(scope, self._receive, self._sent.put))
        self._task.add_done_callback(lambda task: self._sent.put_nowait({"type": "end"}))

    async def next(self) -> Message:
        """The next message of the app. Raises what the app raised."""
        message = await self._sent.get()
        if message["type"] == "end":
            await self._task
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (message := await self.next())["type"] == "http.response.body":
            yield message.get("body", b"")
            if not message.get("more_body"):
                break

    async def aclose(self) -> None:
        self._gone.set()

    async def _receive(self) -> Message:
        request, self._request = self._request, None
        if request is None:
            await self._gone.wait()
        return request or {"type": "http.disconnect"}


class InProcess(httpx2.AsyncBaseTransport):
    def __init__(self, app: Any) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.path.encode(),
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        conversation = Conversation(self._app, scope, await request.aread())
        try:
            start = await conversation.next()
        except asyncio.CancelledError:
            await conversation.aclose()
            raise
        return httpx2.Response(start["status"], headers=start["headers"], stream=conversation)
