"""A loopback vLLM that plays recordings of a real one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from oruel.engine.vllm.wire import RowRequest
from tests.engine.vllm.recording import Recording
from tests.engine.vllm.stub_vllm import message_of


@dataclass
class RecordedVLLM:
    """`rows` are the names of the recordings that answer the choices of a request; `greeting` that of the one that
    answers the handshake. Bodies are sent in pieces of `piece` bytes.
    """

    rows: Sequence[str] = ()
    greeting: str = "hello"
    piece: int = 2**16

    async def tell_version(self, request: web.Request) -> web.StreamResponse:
        return await self._play(request, "version")

    async def tell_models(self, request: web.Request) -> web.StreamResponse:
        return await self._play(request, "models")

    async def generate(self, request: web.Request) -> web.StreamResponse:
        message = message_of(await request.json())
        return await self._play(
            request, self.rows[message.choice] if isinstance(message, RowRequest) else self.greeting
        )

    async def _play(self, request: web.Request, name: str) -> web.StreamResponse:
        recording = Recording.read(name)
        response = web.StreamResponse(status=recording.status, headers={"content-type": recording.content_type})
        await response.prepare(request)
        for start in range(0, len(recording.body), self.piece):
            await response.write(recording.body[start : start + self.piece])
        return response


@asynccontextmanager
async def serve_recordings(vllm: RecordedVLLM) -> AsyncIterator[str]:
    """The address."""
    app = web.Application()
    app.router.add_get("/version", vllm.tell_version)
    app.router.add_get("/v1/models", vllm.tell_models)
    app.router.add_post("/inference/v1/generate", vllm.generate)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
