"""The HTTP server, and how it stops: one signal lets running requests finish for a while, a second ends it at once."""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

# What a request that was cut has to tell its client so.
LAST_WORDS_SECONDS = 2.0


class Server(uvicorn.Server):
    """Calls `started` once it takes requests, and `cut` for those that outlive the grace: it fails them, so that each
    client is told. Ends quietly on signals, where uvicorn's own would raise them again once it is done.
    """

    def __init__(
        self, app: FastAPI, started: Callable[[], None], *, cut: Callable[[], Awaitable[None]], grace_seconds: float
    ) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False
        )
        super().__init__(config)
        self._announce = started
        self._cut = cut
        self._grace_seconds = grace_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cutting = asyncio.create_task(self._cut_later())
        try:
            async with asyncio.timeout(self._grace_seconds + LAST_WORDS_SECONDS):
                await super().shutdown(sockets)
        except TimeoutError:
            self._hush()
        finally:
            cutting.cancel()

    async def _cut_later(self) -> None:
        await asyncio.sleep(self._grace_seconds)
        await self._cut()

    def _hush(self) -> None:
        """uvicorn logs each request that is cancelled, with a traceback."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        serving = asyncio.current_task()
        assert serving is not None

        def stop() -> None:
            if self.should_exit:
                self._hush()
                serving.cancel()
            self.should_exit = True

        on_signals(stop)
        yield


def on_signals(act: Callable[[], object]) -> None:
    """From now on, SIGINT and SIGTERM do this on the running event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, act)
