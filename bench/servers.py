"""Runs the endpoint and llama.cpp's C++ server as processes, each on a free loopback port."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.server import oruel_serve

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings of both servers: a window of `context` tokens for each of `parallel` sequences. With `threads` None,
    Oru'el adjusts the number, and llama.cpp's server uses one per core.
    """

    model: Path
    threads: int | None
    parallel: int
    context: int = 1024


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """`key` is the API key that it requires, None if it requires none."""

    name: str
    port: int
    pid: int
    key: str | None = None


@contextmanager
def oruel_server(setting: Setting) -> Iterator[ServerProcess]:
    flags = (
        *("--model", str(setting.model), "--alias", "bench"),
        *(("--threads", str(setting.threads)) if setting.threads else ()),
        *("--parallel", str(setting.parallel), "--ctx", str(setting.context)),
    )
    with oruel_serve(*flags) as server:
        yield ServerProcess("oruel", int(server.url.rpartition(":")[2]), server.process.pid)


@contextmanager
def llama_server(setting: Setting) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "bench.llama_server", str(setting.model), str(port)]
    threads = setting.threads or len(os.sched_getaffinity(0))
    command += [str(threads), str(setting.parallel), str(setting.context)]
    with run_process(command) as process:
        wait_until_healthy(port)
        yield ServerProcess("llama-server", port, process.pid)


@contextmanager
def run_process(command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process without output, and kills it at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_healthy(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server on port {port} did not start within {START_SECONDS:g} s")
