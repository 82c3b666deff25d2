"""The endpoint under disturbance: engines that die or hang, signals, and a killed API process."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.gguf_models import llama_model
from tests.impatient_server import impatient_server, killed_at_exit, start_server
from tests.server import RunningServer
from tests.test_serve import TIMEOUT_SECONDS, ask, chat, endless, engine_of, eventually

pytestmark = pytest.mark.model

STREAMS = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[RunningServer]:
    with impatient_server(model, watchdog=2) as running:
        yield running


def health(server: RunningServer) -> dict[str, Any]:
    response = httpx2.get(f"{server.url}/health")
    body = dict(response.json())
    assert (response.status_code == 200) == (body["status"] == "ok")
    return body


def is_healthy(server: RunningServer) -> bool:
    return bool(health(server)["status"] == "ok")


def refuses(server: RunningServer) -> bool:
    """Whether the server refuses a new connection."""
    try:
        socket.create_connection(("127.0.0.1", port_of(server)), timeout=5).close()
    except OSError:
        return True
    return False


def port_of(server: RunningServer) -> int:
    return int(server.url.rsplit(":")[-1])


async def read_stream(server: RunningServer, started: asyncio.Event, **parameters: Any) -> list[str]:
    """Returns the events of a stream. Sets `started` at the first event with text."""
    body = endless(stream=True, **parameters)
    async with (
        httpx2.AsyncClient(timeout=60) as client,
        client.stream("POST", f"{server.base_url}/chat/completions", json=body) as response,
    ):
        assert response.status_code == 200, await response.aread()
        events = []
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                events.append(line[6:])
                if '"content":"' in line:
                    started.set()
        return events


async def read_whole(server: RunningServer, **parameters: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=60) as client:
        return await client.post(f"{server.base_url}/chat/completions", json=endless(**parameters))


def streams_around(server: RunningServer, disturb: Callable[[], object], count: int = STREAMS) -> list[list[str]]:
    """Returns the events of `count` streams, all of which have started when `disturb` is called."""

    async def scenario() -> list[list[str]]:
        started = [asyncio.Event() for _ in range(count)]
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(read_stream(server, event)) for event in started]
            async with asyncio.timeout(TIMEOUT_SECONDS):
                for event in started:
                    await event.wait()
            disturb()
        return [stream.result() for stream in reading]

    return asyncio.run(scenario())


def assert_cut(events: list[str]) -> None:
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["error"]["code"] == "engine_failed"
    assert all("error" not in json.loads(event) for event in events[:-2])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_streams_of_an_engine_that_dies_or_hangs_end_with_an_error(
    server: RunningServer, number: signal.Signals
) -> None:
    restarts = health(server)["restarts"]
    for events in streams_around(server, lambda: os.kill(engine_of(server), number)):
        assert_cut(events)
    eventually(lambda: is_healthy(server), "another engine")
    assert health(server) == {"status": "ok", "restarts": restarts + 1, "detail": "", "deployments": {"engine": True}}
    assert ask(server, chat(max_tokens=3))["usage"]["completion_tokens"] <= 3


def test_a_request_without_text_gets_a_503_when_the_engine_dies(server: RunningServer) -> None:
    async def scenario() -> httpx2.Response:
        engine = engine_of(server)
        os.kill(engine, signal.SIGSTOP)
        asking = asyncio.create_task(read_whole(server, stream=True))
        await asyncio.sleep(0.3)
        os.kill(engine, signal.SIGKILL)
        return await asking

    response = asyncio.run(scenario())
    assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_failed")
    assert int(response.headers["retry-after"]) >= 1
    eventually(lambda: is_healthy(server), "another engine")


def test_an_idle_engine_does_not_count_as_hung(server: RunningServer) -> None:
    ask(server, chat(max_tokens=1))
    engine = engine_of(server)
    asyncio.run(asyncio.sleep(3))
    assert engine_of(server) == engine


def test_an_engine_that_cannot_restart_is_retried_and_health_reports_it(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.hardlink_to(model)
    with impatient_server(path) as server:
        # Renamed rather than overwritten, since the server has it mapped.
        away = path.rename(tmp_path / "away.gguf")
        os.kill(engine_of(server), signal.SIGKILL)
        eventually(lambda: health(server)["restarts"] >= 2, "two attempts")
        reported = health(server)
        assert reported["status"] in {"failed", "starting"}
        assert "times in a row" in reported["detail"]
        assert str(tmp_path) not in reported["detail"]
        refused = httpx2.post(f"{server.base_url}/chat/completions", json=chat() | {"model": "model"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_failed")
        assert int(refused.headers["retry-after"]) >= 1
        assert httpx2.get(f"{server.base_url}/models").status_code == 200
        away.rename(path)
        eventually(lambda: is_healthy(server), "a restart once the model is back")
        assert ask(server, chat(max_tokens=2) | {"model": "model"})["choices"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_running_requests_finish_and_new_ones_are_refused(model: Path, number: signal.Signals) -> None:
    with impatient_server(model, grace=60) as server:
        engine = engine_of(server)

        async def scenario() -> tuple[list[str], httpx2.Response]:
            started = asyncio.Event()
            streaming = asyncio.create_task(read_stream(server, started, max_tokens=600))
            whole = asyncio.create_task(read_whole(server, max_tokens=600))
            await started.wait()
            server.process.send_signal(number)
            await until(lambda: refuses(server))
            return await streaming, await whole

        events, answer = asyncio.run(scenario())
        assert events[-1] == "[DONE]"
        assert json.loads(events[-2])["choices"][0]["finish_reason"] == "length"
        assert answer.json()["choices"][0]["finish_reason"] == "length"
        assert_stopped(server, engine)


def assert_stopped(server: RunningServer, engine: int) -> None:
    assert server.process.wait(TIMEOUT_SECONDS) == 0
    eventually(lambda: "oruel: stopped\n" in server.lines, "the last line")
    output = [line for line in server.lines if not line.startswith("{")]
    assert output[-1] == "oruel: stopped\n"
    assert "Traceback" not in "".join(server.lines)
    assert not is_alive(engine)


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_stream_that_exceeds_the_grace_ends_with_an_error(model: Path) -> None:
    with impatient_server(model, grace=1) as server:
        engine = engine_of(server)

        def stop() -> None:
            # A stopped engine never finishes, and its watchdog waits longer than the grace.
            os.kill(engine, signal.SIGSTOP)
            server.process.terminate()

        for events in streams_around(server, stop, count=3):
            assert_cut(events)
        assert_stopped(server, engine)


def test_an_unstreamed_answer_that_exceeds_the_grace_is_a_503(model: Path) -> None:
    with impatient_server(model, grace=1) as server:
        engine = engine_of(server)

        async def scenario() -> httpx2.Response:
            os.kill(engine, signal.SIGSTOP)
            asking = asyncio.create_task(read_whole(server))
            await asyncio.sleep(0.3)
            server.process.terminate()
            return await asking

        response = asyncio.run(scenario())
        assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_failed")
        assert_stopped(server, engine)


def test_a_client_with_an_unfinished_body_does_not_delay_shutdown(model: Path) -> None:
    with impatient_server(model, grace=0.5) as server:
        engine = engine_of(server)
        with socket.create_connection(("127.0.0.1", port_of(server))) as connection:
            head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n{")
            ask(server, chat(max_tokens=1))
            server.process.terminate()
            assert_stopped(server, engine)


def test_a_second_signal_stops_the_server_at_once(model: Path) -> None:
    with impatient_server(model, grace=600) as server:
        engine = engine_of(server)

        async def scenario() -> None:
            started = asyncio.Event()
            streaming = asyncio.create_task(read_stream(server, started))
            await started.wait()
            os.kill(engine, signal.SIGSTOP)
            server.process.terminate()
            await until(lambda: refuses(server))
            server.process.terminate()
            await asyncio.gather(streaming, return_exceptions=True)

        asyncio.run(scenario())
        assert_stopped(server, engine)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


def loading_engine(process: subprocess.Popen[str]) -> int:
    """The process id of the server's engine, as soon as it runs."""
    found: list[int] = []

    def look() -> bool:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        # Before its exec, the child still runs the server's image, and stopping it would stop the server.
        found[:] = [int(child) for child in children if b"oruel.engine" in Path(f"/proc/{child}/cmdline").read_bytes()]
        return bool(found)

    eventually(look, "an engine process")
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_loading_stops_the_server_quietly(model: Path, number: signal.Signals) -> None:
    with killed_at_exit(start_server(model)) as process:
        engine = loading_engine(process)
        os.kill(engine, signal.SIGSTOP)
        # To the whole process group, as a Ctrl-C.
        os.killpg(process.pid, number)
        assert process.wait(TIMEOUT_SECONDS) == 0
        assert process.stdout
        assert process.stdout.read() == "oruel: stopped\n"
        assert not is_alive(engine)


def test_a_killed_server_leaves_no_engine_behind(model: Path) -> None:
    with impatient_server(model) as server:
        engine = engine_of(server)

        async def scenario() -> None:
            started = asyncio.Event()
            streaming = asyncio.create_task(read_stream(server, started))
            await started.wait()
            server.process.kill()
            await asyncio.gather(streaming, return_exceptions=True)

        asyncio.run(scenario())
        eventually(lambda: not is_alive(engine), "the engine's end")
        assert "Traceback" not in "".join(server.lines)


def test_a_server_killed_during_loading_leaves_no_engine_behind(model: Path) -> None:
    with killed_at_exit(start_server(model)) as process:
        engine = loading_engine(process)
        process.kill()
        eventually(lambda: not is_alive(engine), "the engine's end")
