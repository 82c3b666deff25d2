"""The API process's connection to one job server process, from its start to its end."""

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
    prefix_length,
)

MESSAGE_BYTES = 2**16


class Connection:
    """`process` holds the other end of `control`."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._inbox = Inbox[FromServer](from_server_decoder)
        self._reply: asyncio.Future[FromServer | None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._endings: dict[int, asyncio.Future[Ended]] = {}
        self._ready_at = time.monotonic()
        loop.add_reader(control, self._on_readable)

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
                # Ctrl-C signals the whole process group. A new session would also prevent that, but the kernel's
                # scheduler may then apply the niceness only within the session.
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
        return self._reply.done() and not self._ended.done()

    async def open(self, message: Open) -> None:
        """Returns when jobs can run. Raises StartupError if the job server can't load what it needs, or dies."""
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._control, encode_message(message))
        match await self._reply:
            case ServerReady():
                self._ready_at = time.monotonic()
            case Refused(reason):
                raise StartupError(reason)
            case _:
                raise StartupError(f"The job server died during startup (exit status {await self._process.wait()}).")

    @contextmanager
    def job(self, run: Run) -> Iterator[socket.socket]:
        """Starts a job and yields the socket for its question and its answer. Leaving the context ends the job.

        Raises Overloaded if no socket is left or the job server is too far behind, and PreparationFailed if the job
        server has died.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise Overloaded(f"The server can't start another job: {error.strerror}. Try again later.") from error
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
        """Waits for the reason why a job ended without an answer. Raises PreparationFailed if the job server died."""
        return await self._endings[number]

    def _send(self, run: Run, theirs: socket.socket) -> None:
        data = encode_message(run)
        try:
            sent = socket.send_fds(self._control, [data], [theirs.fileno()])
        except BlockingIOError as error:
            raise Overloaded("Too many requests are waiting to be prepared. Try again in a second.") from error
        except OSError as error:
            raise server_died_error() from error
        if sent < len(data):
            # The server can't parse anything after an incomplete message, so it has to be replaced.
            self.kill()
            raise server_died_error()

    def _on_readable(self) -> None:
        try:
            data = self._control.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._mark_ended()
        for message in self._inbox.feed(data):
            if not self._reply.done():
                self._reply.set_result(message)
            elif isinstance(message, Ended) and (ending := self._endings.get(message.job)):
                ending.set_result(message)

    def _mark_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._ended.set_result(None)
        if not self._reply.done():
            self._reply.set_result(None)
        for ending in self._endings.values():
            if not ending.done():
                ending.set_exception(server_died_error())
                # Marks the exception as retrieved, since not every caller waits for it.
                ending.exception()

    async def ended(self) -> float:
        """Waits until the process has ended. Returns for how many seconds it was ready."""
        await asyncio.shield(self._ended)
        await self._process.wait()
        return time.monotonic() - self._ready_at

    def kill(self) -> None:
        # By its pid, since Process.kill may reap the process before asyncio's own watcher does.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Closes the socket, after which the process ends its jobs and exits."""
        if not self._ended.done():
            self._mark_ended()


async def ask_job(connection: socket.socket, question: bytes) -> bytes | None:
    """Returns the job's answer, None if the job ended without one."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(connection, prefix_length(question))
        head = await receive_exactly(connection, LENGTH.size)
        return head and await receive_exactly(connection, LENGTH.unpack(head)[0])
    except ConnectionError:
        return None


async def receive_exactly(connection: socket.socket, length: int) -> bytes | None:
    """Returns None if the other end closes the connection first."""
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
    return PreparationFailed("The process that prepares requests died during this one. Send it again.")
