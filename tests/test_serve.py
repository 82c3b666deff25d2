"""The whole endpoint as a process, from its start to its stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.gguf_models import gemma_model, llama_model, mistral_model, qwen2_model
from tests.server import RunningServer, oruel_serve
from tests.soak import processes

pytestmark = pytest.mark.model

TIMEOUT_SECONDS = 30
FAMILIES = (llama_model, qwen2_model, mistral_model, gemma_model)
END_TOKENS = {"376": -100, "378": -100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with oruel_serve("--model", str(llama_model(folder)), "--threads", "1", "--parallel", "4") as running:
        yield running


def chat(text: str = "Hello", **parameters: Any) -> dict[str, Any]:
    return {"model": "llama-f16", "messages": [{"role": "user", "content": text}]} | parameters


def endless(**parameters: Any) -> dict[str, Any]:
    """A request that runs to the end of the context window: the end tokens are biased away."""
    return chat(logit_bias=END_TOKENS, **parameters)


def ask(server: RunningServer, body: dict[str, Any]) -> dict[str, Any]:
    response = httpx2.post(f"{server.base_url}/chat/completions", json=body, timeout=60)
    assert response.status_code == 200, response.text
    return dict(response.json())


def gauge(server: RunningServer, name: str) -> float:
    text = httpx2.get(f"{server.url}/metrics").text
    found = re.search(rf"^oruel_engine_{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    assert found, f"no {name} in /metrics"
    return float(found[1])


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def engine_of(server: RunningServer) -> int:
    """The process id of the engine."""
    engine = processes.engine_of(server.process.pid)
    assert engine is not None, "no engine process"
    return engine


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "not streamed"])
def test_a_client_that_disconnects_frees_its_slots(server: RunningServer, stream: bool) -> None:
    finished = ask(server, endless(max_tokens=1800))["usage"]["completion_tokens"]
    steps_before = gauge(server, "steps")
    body = json.dumps(endless(stream=stream, n=4)).encode()
    with socket.create_connection((server.url[7:].split(":")[0], int(server.url.rsplit(":")[-1]))) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        eventually(lambda: gauge(server, "running") == 4, "four choices run")
    eventually(lambda: gauge(server, "running") == 0, "the slots are free")
    eventually(lambda: not is_stepping(server), "the engine is idle")
    assert gauge(server, "steps") - steps_before < finished, "the engine finished the answer, though the client left"


def is_stepping(server: RunningServer) -> bool:
    before = gauge(server, "steps")
    time.sleep(0.2)
    return gauge(server, "steps") != before


def test_the_same_seed_gives_the_same_text_streamed_or_not(server: RunningServer) -> None:
    whole = ask(server, chat(seed=7, max_tokens=60, temperature=1.5))["choices"][0]["message"]["content"]
    parts = []
    body = chat(seed=7, max_tokens=60, temperature=1.5, stream=True)
    with httpx2.stream("POST", f"{server.base_url}/chat/completions", json=body, timeout=60) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                parts += [choice["delta"].get("content") or "" for choice in json.loads(line[6:])["choices"]]
    assert "".join(parts) == whole


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(server: RunningServer) -> None:
    body = chat("word " * 800)
    counted = httpx2.post(f"{server.url}/tokenize", json={"messages": body["messages"]}).json()["count"]
    assert counted > 2048
    response = httpx2.post(f"{server.base_url}/chat/completions", json=body, timeout=60)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert re.findall(r"\d+", error["message"].replace("llama-f16", "")) == [str(counted), "2048"]


def test_a_prompt_of_megabytes_is_refused_before_it_is_tokenised(server: RunningServer) -> None:
    response = httpx2.post(f"{server.base_url}/chat/completions", json=chat("word " * 10**6), timeout=60)
    assert response.status_code == 400
    assert "at least" in response.json()["error"]["message"]


def test_max_tokens_is_clamped_to_the_context_window(server: RunningServer) -> None:
    answer = ask(server, endless(max_tokens=131072))
    assert answer["usage"]["total_tokens"] == 2048
    assert answer["choices"][0]["finish_reason"] == "length"


def test_tokenize_and_usage_count_the_same_tokens(server: RunningServer) -> None:
    body = chat("Hello <|im_end|> you")
    answer = ask(server, body | {"max_tokens": 1})
    counted = httpx2.post(f"{server.url}/tokenize", json={"messages": body["messages"]}).json()
    assert counted["count"] == answer["usage"]["prompt_tokens"]


def test_metrics_show_the_threads_before_the_first_request(folder: Path) -> None:
    with oruel_serve("--model", str(llama_model(folder)), "--threads", "1") as running:
        eventually(lambda: gauge(running, "threads") == 1, "the gauge shows the thread")


def test_a_logit_bias_beyond_the_vocabulary_is_refused(server: RunningServer) -> None:
    response = httpx2.post(f"{server.base_url}/chat/completions", json=chat(logit_bias={"380": 1}))
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith("logit_bias")


def test_a_killed_engine_ends_its_streams_with_an_error_and_restarts(server: RunningServer) -> None:
    body = endless(stream=True, n=2)
    with httpx2.stream("POST", f"{server.base_url}/chat/completions", json=body, timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        os.kill(engine_of(server), signal.SIGKILL)
        events = [line[6:] for line in lines if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["error"]["code"] == "engine_failed"
    eventually(lambda: httpx2.get(f"{server.url}/health").status_code == 200, "the endpoint is healthy again")
    assert ask(server, chat(max_tokens=3))["usage"]["completion_tokens"] <= 3


@pytest.fixture(scope="module")
def families(folder: Path) -> Iterator[RunningServer]:
    """A server with a model of each family, named as the function that writes it."""
    engines = {build.__name__: build(folder) for build in FAMILIES}
    catalog = folder / "catalog.toml"
    catalog.write_text(
        "".join(
            f'[[models]]\nname = "{name}"\n[[models.deployments]]\nname = "{name}"\nengine = "{path}"\n'
            for name, path in engines.items()
        )
    )
    with oruel_serve("--catalog", str(catalog), "--threads", "1") as running:
        yield running


@pytest.mark.parametrize("family", [build.__name__ for build in FAMILIES])
def test_models_of_every_family_are_served(family: str, families: RunningServer) -> None:
    answer = ask(families, chat(max_tokens=8, seed=1, logprobs=True, top_logprobs=2) | {"model": family})
    entries = answer["choices"][0]["logprobs"]["content"]
    assert 1 <= len(entries) <= 8
    assert all(len(entry["top_logprobs"]) == 2 for entry in entries)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_with_status_0(number: signal.Signals, folder: Path) -> None:
    with oruel_serve("--model", str(llama_model(folder)), "--threads", "1") as running:
        engine = engine_of(running)
        running.process.send_signal(number)
        assert running.process.wait(30) == 0
    assert "Traceback" not in "".join(running.lines)
    assert not Path(f"/proc/{engine}").exists(), "the engine process is still there"


def refusal(*flags: str) -> str:
    command = [sys.executable, "-m", "oruel", "serve", "--store", "none", *flags]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert completed.returncode == 2, completed.stderr
    assert completed.stdout == ""
    assert "Traceback" not in completed.stderr
    return completed.stderr


def test_a_taken_port_is_reported_in_one_line(server: RunningServer) -> None:
    message = refusal("--port", server.url.rsplit(":")[-1])
    assert "--port" in message
    assert len(message.splitlines()) == 1


def test_gpu_layers_are_refused_by_a_cpu_build() -> None:
    assert "gpu_layers" in refusal("--port", "0", "--gpu-layers", "1")


def test_a_context_beyond_the_models_training_is_refused() -> None:
    assert "trained for" in refusal("--port", "0", "--ctx", "100000")


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF nothing of the kind")
    assert "model.gguf" in refusal("--port", "0", "--model", str(path))


def test_log_lines_are_json_with_a_request_id_but_no_prompt(server: RunningServer) -> None:
    secret = "a phrase that appears nowhere else"
    response = httpx2.post(f"{server.base_url}/chat/completions", json=endless(text=secret, max_tokens=2))
    own_id = response.headers["x-request-id"]
    eventually(lambda: any(own_id in line for line in server.lines), "the request's line")
    (line,) = [json.loads(line) for line in server.lines if own_id in line]
    assert (line["event"], line["status"], line["completion_tokens"]) == ("request", 200, 2)
    assert not any(secret in line for line in server.lines)
