"""The process of one job, from the fork to its end: reads the question, does the work, writes the answer."""

import importlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from traceback import format_exc
from typing import Any, NoReturn, get_type_hints

import msgspec

from oruel.engine.protocol import LENGTH
from oruel.errors import OruelError
from oruel.jobs.base import Tokenizers
from oruel.jobs.messages import Failed, Limits
from oruel.jobs.usage import read_job_usage

# The exit status of a job that ran out of memory.
OUT_OF_MEMORY = 3

ANSWERED, FAILED = b"\x00", b"\x01"


def run_job(
    work: str,
    connection: socket.socket,
    tokenizers: Tokenizers,
    limits: Limits,
    close_others: Callable[[socket.socket], None],
) -> NoReturn:
    """Runs in a process that was just forked. `close_others` closes what it shares with its parent, except for
    `connection`.
    """
    status = 1
    try:
        close_others(connection)
        apply_limits(limits)
        connection.setblocking(True)
        send_answer(connection, run_work(work, receive_question(connection), tokenizers))
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    finally:
        os._exit(status)


def apply_limits(limits: Limits) -> None:
    """The kernel ends the process with SIGPROF once it has used its CPU time, whatever it is doing."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if own := read_job_usage(os.getpid()):
        most = own.virtual + limits.memory
        with suppress(ValueError, OSError):
            # A lower limit of the system stays.
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run_work(work: str, question: bytes, tokenizers: Tokenizers) -> bytes:
    """Raises MemoryError."""
    try:
        function = import_work(work)
        asked, _ = work_types(function)
        return ANSWERED + encode_value(function(tokenizers, decode_value(question, asked)))
    except MemoryError:
        raise
    except OruelError as error:
        return FAILED + msgspec.json.encode(Failed(type(error).__name__, error.message, error.param))
    except Exception:  # noqa: BLE001 - it is raised again in the API process
        return FAILED + msgspec.json.encode(Failed("", format_exc()))


def work_name(work: Callable[..., Any]) -> str:
    return f"{work.__module__}:{work.__qualname__}"


def import_work(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


@cache
def work_types(work: Callable[..., Any]) -> tuple[Any, Any]:
    """The types of the question and of the answer."""
    hints = get_type_hints(work)
    answered = hints.pop("return")
    return list(hints.values())[1], answered


def encode_value(value: object) -> bytes:
    """As JSON, since its integers have no maximum."""
    return value if isinstance(value, bytes) else msgspec.json.encode(value)


def decode_value(data: bytes, kind: Any) -> Any:
    return data if kind is bytes else msgspec.json.decode(data, type=kind)


def send_answer(connection: socket.socket, data: bytes) -> None:
    connection.sendall(LENGTH.pack(len(data)) + data)


def receive_question(connection: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(receive_exactly(connection, LENGTH.size))
    return receive_exactly(connection, length)


def receive_exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        read = connection.recv_into(view[at:])
        if not read:
            raise ConnectionError("the caller left before it had asked")
        at += read
    return bytes(data)
