"""The API process's view of one job server process, from start to end."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from oruel.engine.protocol import LENGTH
from oruel.errors import Overloaded, PreparationFailed, StartupError
from oruel.jobs.messages import (
    Ended,
    FromServer,
    Inbox,
    Open,
    Refused,
    Run,
    ServerReady,
    encode_message,
    from_server_decoder,
)

MESSAGE_BYTES = 2**16


class Connection:
    """`process` reads the other end of `control`."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._inbox = Inbox[FromServer](from_server_decoder)
        self._first: asyncio.Future[FromServer | None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._endings: dict[int, asyncio.Future[Ended]] = {}
        self._ready_at = time.monotonic()
        loop.add_reader(control, self._hear)

    @classmethod
    async def launch(cls, environment: Mapping[str, str]) -> "Connection":
        """Raises StartupError if the system can't start a process."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "oruel.jobs.server",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment,
                # Ctrl-C reaches the whole process group. In a session of its own, the process's niceness would count
                # for less.
                process_group=0,
            )
        except OSError as error:
            ours.close()
            raise StartupError(f"The job server can't be started: {error.strerror}.") from error
        finally:
            theirs.close()
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_open(self) -> bool:
        return self._first.done() and not self._ended.done()

    async def open(self, order: Open) -> None:
        """Returns when jobs can run. Raises StartupError."""
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._control, encode_message(order))
        match await self._first:
            case ServerReady():
                self._ready_at = time.monotonic()
            case Refused(message):
                raise StartupError(message)
            case _:
                raise StartupError(f"The job server died at its start (exit status {await self._process.wait()}).")

    @contextmanager
    def job(self, run: Run) -> Iterator[socket.socket]:
        """The socket for the question and the answer of a starting job. Leaving the context ends the job.

        Raises Overloaded if the system or the job server has no room for it.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise Overloaded(f"The server has no room for another job: {error.strerror}. Try again later.") from error
        ours.setblocking(False)
        self._endings[run.job] = asyncio.get_running_loop().create_future()
        try:
            with theirs:
                self._send(run, theirs)
            yield ours
        finally:
            ours.close()
            self._endings.pop(run.job).cancel()

    async def ending(self, number: int) -> Ended:
        """How a job ended without an answer. Raises PreparationFailed if the job server itself has ended."""
        return await self._endings[number]

    def _send(self, run: Run, theirs: socket.socket) -> None:
        data = encode_message(run)
        try:
            sent = socket.send_fds(self._control, [data], [theirs.fileno()])
        except BlockingIOError as error:
            raise Overloaded("Too many requests wait to be prepared. Try again in a second.") from error
        except OSError as error:
            raise server_died_error() from error
        if sent < len(data):
            # After half a message nothing can be read, so the server has to be replaced.
            self.kill()
            raise server_died_error()

    def _hear(self) -> None:
        try:
            data = self._control.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._end()
        for message in self._inbox.feed(data):
            if not self._first.done():
                self._first.set_result(message)
            elif isinstance(message, Ended) and (ending := self._endings.get(message.job)):
                ending.set_result(message)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._ended.set_result(None)
        if not self._first.done():
            self._first.set_result(None)
        for ending in self._endings.values():
            if not ending.done():
                ending.set_exception(server_died_error())
                # Not every caller waits for this.
                ending.exception()

    async def ended(self) -> float:
        """Waits for the end of the process. Returns for how many seconds it could run jobs."""
        await asyncio.shield(self._ended)
        await self._process.wait()
        return time.monotonic() - self._ready_at

    def kill(self) -> None:
        # By its pid, since Process.kill may reap the process before asyncio's own watcher does.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """The process notices the closed socket, ends its jobs, and ends."""
        if not self._ended.done():
            self._end()


async def ask_job(connection: socket.socket, question: bytes) -> bytes | None:
    """The answer of a job; None if it ended without one."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(connection, LENGTH.pack(len(question)) + question)
        head = await receive_exactly(connection, LENGTH.size)
        return head and await receive_exactly(connection, LENGTH.unpack(head)[0])
    except ConnectionError:
        return None


async def receive_exactly(connection: socket.socket, length: int) -> bytes | None:
    """None if the other end closes first."""
    loop = asyncio.get_running_loop()
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        read = await loop.sock_recv_into(connection, view[at:])
        if not read:
            return None
        at += read
    return bytes(data)


def server_died_error() -> PreparationFailed:
    return PreparationFailed("The process that prepares requests died while it held this one. Send it again.")
