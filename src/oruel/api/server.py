"""The HTTP server and its shutdown: on the first signal, running requests get a grace period; on the second, the server
stops at once.
"""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from oruel.api.edge import EdgeConfig, EdgeLimits, sweep_connections

log = structlog.get_logger("oruel.server")

# How long aborted requests have to send their error to the client.
LAST_WORDS_SECONDS = 2.0
QUIET_SECONDS = 60.0
# What `selectors` says of a socket that is closed.
CLOSED_SOCKET = "Invalid file descriptor: -1"
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server(uvicorn.Server):
    """Calls `started` once it accepts requests. After the grace period it calls `cut`, which fails the remaining
    requests so that each client gets an error. Unlike uvicorn, it does not raise signals again once it has stopped.
    """

    def __init__(
        self,
        app: FastAPI,
        started: Callable[[], None],
        *,
        cut: Callable[[], Awaitable[None]],
        grace_seconds: float,
        limits: EdgeLimits | None = None,
    ) -> None:
        super().__init__(EdgeConfig(app, limits or EdgeLimits()))
        self._announce = started
        self._cut = cut
        self._grace_seconds = grace_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(LoopFailures())
        self._sweeping = asyncio.create_task(sweep_connections(self.server_state), name="edge sweeper")
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
            self._sweeping.cancel()

    async def _cut_later(self) -> None:
        await asyncio.sleep(self._grace_seconds)
        await self._cut()

    def _hush(self) -> None:
        # uvicorn logs each cancelled request with a traceback.
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


class LoopFailures:
    """The event loop's exception handler. When file descriptors run out, asyncio reports an error for every waiting
    connection; this logs at most one line every QUIET_SECONDS. asyncio resumes accepting a second later, and reports an
    error if the server has stopped by then.
    """

    def __init__(self) -> None:
        self._last = -QUIET_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, ValueError) and str(error) == CLOSED_SOCKET:
            return
        if not (isinstance(error, OSError) and error.errno in OUT_OF_FILES):
            loop.default_exception_handler(context)
        elif loop.time() - self._last >= QUIET_SECONDS:
            self._last = loop.time()
            log.warning("no file descriptors are left: new connections wait; raise the limit (ulimit -n)")


def on_signals(act: Callable[[], object]) -> None:
    """Makes SIGINT and SIGTERM call `act` on the running event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, act)
