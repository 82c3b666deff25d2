"""Runs `oruel serve` as a process on a free loopback port."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

START_SECONDS = 60


@dataclass
class RunningServer:
    """`lines` grows with the output of the server, including its log."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


@contextmanager
def oruel_serve(*flags: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningServer]:
    command = [sys.executable, "-m", "oruel", "serve", "--port", "0", *flags]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ORUEL_")}
    # No test writes into the user's data directory.
    clean["ORUEL_STORE"] = "none"
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean | dict(environment or {}),
    )
    lines: list[str] = []
    assert process.stdout
    try:
        url = wait_for_url(process, lines)
        # Keep reading, so that the server never blocks on a full pipe.
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
        reader.start()
        yield RunningServer(process, url, lines)
        process.terminate()
        reader.join(30)
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


@contextmanager
def together(*starting: AbstractContextManager[RunningServer]) -> Iterator[list[RunningServer]]:
    """Starts servers at the same time."""
    with ExitStack() as started:
        with ThreadPoolExecutor(len(starting)) as pool:
            servers = list(pool.map(started.enter_context, starting))
        yield servers


def wait_for_url(process: subprocess.Popen[str], lines: list[str]) -> str:
    assert process.stdout
    killer = threading.Timer(START_SECONDS, process.kill)
    killer.start()
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"listens on (http://\S+)", line):
            killer.cancel()
            return found[1]
    raise AssertionError(f"oruel serve ended before it listened: {''.join(lines)}")
