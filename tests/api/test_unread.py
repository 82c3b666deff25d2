"""Clients that don't read: their deadlines apply, their sequences end, and the data buffered for them is bounded."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from oruel.api.edge import EdgeLimits, Unread
from oruel.engine.generation import MAX_UNREAD, Generation
from oruel.engine.protocol import TokenOutput
from oruel.errors import AnswerUnread
from tests.api.conftest import chat, served
from tests.fakes import FakeBackend, saying
from tests.server import RunningServer, oruel_serve

pytestmark = pytest.mark.model

PATIENCE_SECONDS = 60.0
BODY = json.dumps(
    {
        "model": "oruel-demo",
        "messages": [{"role": "user", "content": "Write a long essay about space."}],
        "logit_bias": {str(token): -100 for token in range(8)},
        "temperature": 2,
        "n": 8,
        "stream": True,
        "logprobs": True,
        "top_logprobs": 20,
    }
).encode()
LIMITS = {
    "the deadline of the whole answer": ("--total-seconds", "3"),
    "a client that reads nothing for too long": ("--write-seconds", "1"),
}


@pytest.fixture(scope="module", params=list(LIMITS))
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    with oruel_serve(*LIMITS[request.param]) as running:
        yield running


def sequences(client: httpx2.Client) -> float:
    found = re.search(r"^oruel_engine_running\{[^}]*} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def request(body: bytes, *headers: str) -> bytes:
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def test_the_sequences_of_a_client_that_reads_nothing_end(server: RunningServer) -> None:
    with (
        httpx2.Client(base_url=server.url) as metrics,
        socket.create_connection(("127.0.0.1", port_of(server.url)), PATIENCE_SECONDS) as connection,
    ):
        connection.sendall(request(BODY))
        wait(lambda: sequences(metrics) == 8, "eight sequences run")
        wait(lambda: sequences(metrics) == 0, "they have ended")
        wait(lambda: not established(connection), "the server has closed its end")
    wait(lambda: any(reason_in(server) in line for line in server.lines), "the log says why")
    assert not any("client_left" in line for line in server.lines)


def reason_in(server: RunningServer) -> str:
    args = server.process.args
    assert isinstance(args, list)
    return "answer_unread" if "--write-seconds" in args else "deadline_exceeded"


def test_a_client_that_reads_slowly_but_steadily_gets_all_of_its_answer() -> None:
    """Reading it takes about three times as long as write_seconds."""
    text = "x" * 2**21
    body = json.dumps(chat()).encode()
    with (
        served(FakeBackend(saying(text)), limits=EdgeLimits(write_seconds=0.5), send_buffer=2**15) as url,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(("127.0.0.1", port_of(url)))
        connection.sendall(request(body, "Connection: close"))
        answer = b"".join(read_slowly(connection))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == text


def read_slowly(connection: socket.socket) -> Iterator[bytes]:
    while data := connection.recv(2**14):
        yield data
        time.sleep(0.01)


def test_a_client_that_reads_a_byte_a_second_is_disconnected() -> None:
    unread = Unread(since=100.0, size=2**20)
    assert not unread.is_read_too_slowly(160.0, unread.size - 60, seconds=60.0)
    assert unread.is_read_too_slowly(161.0, unread.size - 61, seconds=60.0)


def established(connection: socket.socket) -> bool:
    """Whether the server still holds its end, by the system's table of connections."""
    port = connection.getsockname()[1]
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    states = [line.split()[3] for line in lines if int(line.split()[2].rpartition(":")[2], 16) == port]
    return "01" in states


def wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def test_unread_tokens_are_bounded() -> None:
    async def run() -> None:
        cancelled: list[int] = []
        generation = Generation([7, 8], cancelled.append)
        for token in range(MAX_UNREAD):
            generation.receive(TokenOutput(7, token))
        assert cancelled == [7, 8]
        with pytest.raises(AnswerUnread, match="Read it faster"):
            await generation.outputs()

    asyncio.run(run())
