"""The process of one job, from the fork to its end: reads the question, runs the work, writes the answer."""

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
from oruel.jobs.messages import Failed, Limits, prefix_length
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
    """Runs in a newly forked process. `close_others` closes the inherited sockets except for `connection`."""
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
    """Makes the kernel end this process with SIGPROF after its CPU time, and fail its allocations beyond its memory."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if own := read_job_usage(os.getpid()):
        most = own.virtual + limits.memory
        with suppress(ValueError, OSError):
            # Fails if the system's own limit is lower, which then applies.
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run_work(work: str, question: bytes, tokenizers: Tokenizers) -> bytes:
    """Returns the encoded answer, or the encoded error that the work raised. Raises MemoryError."""
    try:
        function = import_work(work)
        question_type, _ = work_types(function)
        return ANSWERED + encode_value(function(tokenizers, decode_value(question, question_type)))
    except MemoryError:
        raise
    except OruelError as error:
        return FAILED + msgspec.json.encode(Failed(type(error).__name__, error.message, error.param))
    except Exception:  # noqa: BLE001 - raised again in the API process
        return FAILED + msgspec.json.encode(Failed("", format_exc()))


def work_name(work: Callable[..., Any]) -> str:
    return f"{work.__module__}:{work.__qualname__}"


def import_work(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    work: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return work


@cache
def work_types(work: Callable[..., Any]) -> tuple[Any, Any]:
    """The types of the question and of the answer."""
    hints = get_type_hints(work)
    answer_type = hints.pop("return")
    return list(hints.values())[1], answer_type


def encode_value(value: object) -> bytes:
    """As JSON, because msgpack limits integers to 64 bits."""
    return value if isinstance(value, bytes) else msgspec.json.encode(value)


def decode_value(data: bytes, kind: Any) -> Any:
    return data if kind is bytes else msgspec.json.decode(data, type=kind)


def send_answer(connection: socket.socket, data: bytes) -> None:
    connection.sendall(prefix_length(data))


def receive_question(connection: socket.socket) -> bytes:
    """Raises ConnectionError if the caller closes the connection first."""
    with connection.makefile("rb") as stream:
        head = stream.read(LENGTH.size)
        if len(head) == LENGTH.size:
            (length,) = LENGTH.unpack(head)
            question = stream.read(length)
            if len(question) == length:
                return question
    raise ConnectionError("the caller closed the connection before it had sent its question")
