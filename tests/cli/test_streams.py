"""Standard streams that are full, closed or read by a process that has ended: commands report it, servers continue."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

ORUEL = f"{sys.executable} -m oruel"
TIMEOUT_SECONDS = 60.0
UNWRITABLE = ("> /dev/full", "2> /dev/full", "> /dev/full 2>&1", "2>&-", "0<&- >&- 2>&-")


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)


@pytest.mark.parametrize("command", ["params", "params top_p", "--help", "params --json"])
def test_a_full_disk_is_reported_in_one_line_with_status_1(command: str) -> None:
    done = shell(f"{ORUEL} {command} > /dev/full")
    assert (done.returncode, done.stderr) == (1, "oruel: The output can't be written: No space left on device.\n")


@pytest.mark.parametrize("command", ["params", "--help"])
def test_a_pipe_closed_by_its_reader_is_no_error(command: str) -> None:
    done = shell(f"{ORUEL} {command} | head -1; exit ${{PIPESTATUS[1]}}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&-", "0<&- 1>&- 2>&-"])
def test_a_closed_stream_is_harmless(closed: str) -> None:
    assert shell(f"{ORUEL} params {closed}").returncode == 0
    refused = shell(f"{ORUEL} serve --port 99999 {closed}")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


@contextmanager
def started(redirections: str) -> Iterator[subprocess.Popen[str]]:
    """A server that starts on a free port."""
    command = ["bash", "-c", f"exec {ORUEL} serve --port 0 {redirections}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """By redirections. They start at the same time, which takes half as long."""
    with ExitStack() as stack:
        yield {redirections: stack.enter_context(started(redirections)) for redirections in UNWRITABLE}


def port_of(process: subprocess.Popen[str]) -> int:
    """By the sockets of the process, since it may print nothing."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for port in listening_ports(process.pid):
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
            except httpx2.HTTPError:
                continue
            return port
        time.sleep(0.1)
    raise AssertionError(f"the server ended: {process.communicate()}")


def listening_ports(pid: int) -> list[int]:
    listed = subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True, check=False).stdout
    inodes = set(re.findall(r"socket:\[(\d+)]", listed))
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return [int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes]


@pytest.mark.model
@pytest.mark.parametrize("redirections", UNWRITABLE)
def test_a_server_whose_output_cannot_be_written_keeps_serving(
    redirections: str, servers: dict[str, subprocess.Popen[str]]
) -> None:
    body = {"model": "oruel-demo", "max_tokens": 2, "messages": [{"role": "user", "content": "Hello"}]}
    process = servers[redirections]
    url = f"http://127.0.0.1:{port_of(process)}"
    for _ in range(3):
        assert httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=TIMEOUT_SECONDS).status_code == 200
    process.terminate()
    errors = process.communicate(timeout=TIMEOUT_SECONDS)[1]
    assert process.returncode == 0
    assert "Traceback" not in errors
    if redirections == "> /dev/full":
        assert "the banner can't be written" in errors
