"""Connections of adversarial and ordinary clients, through real sockets to a real server."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.server import RunningServer, oruel_serve

pytestmark = pytest.mark.model

HEAD_SECONDS, BODY_SECONDS, IDLE_SECONDS = 1.0, 1.0, 1.0
PATIENCE_SECONDS = 20.0
FLAGS = (
    *("--head-seconds", f"{HEAD_SECONDS:g}", "--body-seconds", f"{BODY_SECONDS:g}"),
    *("--idle-seconds", f"{IDLE_SECONDS:g}", "--max-connections", "40", "--max-connections-per-address", "30"),
)
BODY = json.dumps({"model": "oruel-demo", "max_tokens": 2, "messages": [{"role": "user", "content": "Hello"}]}).encode()
FAULTS: dict[str, tuple[bytes, bytes, int]] = {
    "header lines without end": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"x: y\r\n" * 1000, 431),
    "a header without end": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: ", b"y" * 8192, 431),
    "a URL without end": (b"GET /", b"y" * 8192, 431),
    "spaces without end": (b"GET", b" " * 8192, 431),
    "trailers without end": (
        b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"x: y\r\n" * 1000,
        0,
    ),
    "chunk extensions without end": (
        b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"x" * 8192,
        0,
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with oruel_serve(*FLAGS) as running:
        yield running


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rsplit(":")[-1])), PATIENCE_SECONDS)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def status(response: bytes) -> int:
    return int(response.split(b" ")[1]) if response else 0


def error_in(response: bytes) -> dict[str, str]:
    return dict(json.loads(response.partition(b"\r\n\r\n")[2])["error"])


def post(path: str = "/v1/chat/completions", *headers: str, body: bytes = BODY) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


@pytest.mark.parametrize(("start", "flood", "expected"), FAULTS.values(), ids=FAULTS)
def test_an_endless_head_is_cut_off_without_using_memory(
    server: RunningServer, start: bytes, flood: bytes, expected: int
) -> None:
    before, sent = resident_mib(server.process.pid), 0
    with connect(server) as connection:
        connection.sendall(start)
        try:
            while sent < 64 * 2**20:
                connection.sendall(flood)
                sent += len(flood)
        except ConnectionError:
            pass
        response = answer(connection)
    assert sent < 16 * 2**20, "the server stopped reading long before the end"
    assert resident_mib(server.process.pid) < before + 8
    if response:
        assert status(response) in (expected, 400), response


def test_a_head_of_more_than_64_kib_is_431_in_openais_shape(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: " + b"y" * 70_000 + b"\r\n\r\n")
        response = answer(connection)
    assert (status(response), error_in(response)["code"]) == (431, "head_too_large")


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_an_upgrade_header_is_ignored(server: RunningServer, upgrade: str) -> None:
    headers = (f"Upgrade: {upgrade}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk")
    request = post("/v1/chat/completions", *headers)
    with connect(server) as connection:
        # In two parts, followed by a pipelined request, which has to be answered too.
        connection.sendall(request[:-40])
        time.sleep(0.1)
        connection.sendall(request[-40:] + post("/v1/chat/completions", "Connection: close"))
        responses = answer(connection)
    assert responses.count(b"HTTP/1.1 200 OK") == 2
    assert responses.count(b'"finish_reason"') == 2


def test_a_get_with_an_upgrade_header_is_answered(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        assert b"200 OK" in connection.recv(65536)


def test_a_slow_head_is_408_and_a_silent_connection_is_closed(server: RunningServer) -> None:
    with connect(server) as slow, connect(server) as silent:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
        response = answer(slow)
        assert (status(response), error_in(response)["code"]) == (408, "head_timeout")
        assert answer(silent) == b""


def test_slow_blank_lines_do_not_keep_a_connection_open(server: RunningServer) -> None:
    with connect(server) as connection:
        start = time.monotonic()
        while time.monotonic() - start < PATIENCE_SECONDS:
            try:
                connection.sendall(b"\r\n")
            except ConnectionError:
                return
            time.sleep(0.2)
    pytest.fail("the connection stayed open")


@pytest.mark.parametrize("timeout", [None, 0.4])
def test_a_slow_body_is_408_within_the_timeout_header(server: RunningServer, timeout: float | None) -> None:
    headers = () if timeout is None else (f"x-request-timeout: {timeout}",)
    with connect(server) as connection:
        connection.sendall(post("/v1/chat/completions", *headers)[:-50])
        response = answer(connection)
    assert (status(response), error_in(response)["code"]) == (408, "body_timeout")
    assert f"within {timeout or BODY_SECONDS:g} seconds" in error_in(response)["message"]


def test_an_idle_connection_is_closed_and_a_used_one_is_kept(server: RunningServer) -> None:
    with connect(server) as connection:
        for _ in range(3):
            connection.sendall(post())
            response = b""
            while not response.endswith(b"}}}"):
                response += connection.recv(65536)
            assert b"200 OK" in response
        assert answer(connection) == b""


def test_a_body_that_is_too_large_is_answered_unread(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(post(body=b"x" * 10)[:-10].replace(b"Length: 10", b"Length: 99999999"))
        response = answer(connection)
    assert (status(response), error_in(response)["code"]) == (413, "body_too_large")


def test_a_connection_goes_on_after_an_answer_that_came_before_the_body(server: RunningServer) -> None:
    request = post("/v1/nowhere")
    with connect(server) as connection:
        for _ in range(3):
            connection.sendall(request[: -len(BODY)])
            response = b""
            while b'"not_found"' not in response:
                response += connection.recv(65536)
            connection.sendall(BODY)
        connection.sendall(post("/v1/chat/completions", "Connection: close"))
        assert b"200 OK" in answer(connection)


def test_more_connections_than_an_address_may_have_are_503(server: RunningServer) -> None:
    with ExitStack() as owned:
        for _ in range(30):
            owned.enter_context(connect(server)).sendall(b"GET")
        refused = owned.enter_context(connect(server))
        refused.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        response = answer(refused)
    assert (status(response), error_in(response)["code"]) == (503, "too_many_connections")
    assert b"retry-after: 1\r\n" in response.lower()
    eventually_healthy(server.url)


def eventually_healthy(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while httpx2.get(f"{url}/health", timeout=PATIENCE_SECONDS).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_invalid_http_is_400_in_openais_shape(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
        response = answer(connection)
    assert (status(response), error_in(response)["code"]) == (400, "invalid_http")


@pytest.mark.parametrize(
    "path", ["/health", "/v1/models", "/v1/models/oruel-demo", "/metrics", "/docs", "/openapi.json"]
)
def test_head_is_get_without_a_body(server: RunningServer, path: str) -> None:
    got, head = httpx2.get(f"{server.url}{path}"), httpx2.head(f"{server.url}{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == got.headers["content-length"]


def test_an_unsupported_method_is_405_with_the_supported_ones(server: RunningServer) -> None:
    assert httpx2.post(f"{server.url}/health").headers["allow"] == "GET, HEAD"
    refused = httpx2.head(f"{server.base_url}/chat/completions")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def exhaust_files(owned: ExitStack, port: int) -> None:
    for _ in range(200):
        owned.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))


def test_running_out_of_file_descriptors_logs_one_line_and_passes() -> None:
    command = f"ulimit -n 64; exec {sys.executable} -m oruel serve --port 0 --store none"
    process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    try:
        lines: list[str] = []
        while not (found := re.search(r"listens on (http://127.0.0.1:(\d+))", "".join(lines))):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        with ExitStack() as owned:
            exhaust_files(owned, int(found[2]))
            time.sleep(1.5)
        eventually_healthy(found[1])
        with ExitStack() as owned:
            exhaust_files(owned, int(found[2]))
            # Stops within the second after which asyncio accepts connections again.
            process.terminate()
            rest = process.communicate(timeout=PATIENCE_SECONDS)[0]
    finally:
        process.kill()
        process.communicate()
    assert "Traceback" not in rest
    assert rest.count("no file descriptors are left") <= 1
    assert len(rest.splitlines()) < 20, rest
