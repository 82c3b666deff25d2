"""The server with a store of its own: opened at the start, closed at the end, and required keys take effect at once."""

import json
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server import RunningServer, oruel_serve

pytestmark = pytest.mark.model

SECRET = "a-password-that-no-one-may-see"
BODY: dict[str, Any] = {"model": "oruel-demo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
FLAGS = ("--threads", "1", "--parallel", "2")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def server(store: Path) -> Iterator[RunningServer]:
    with oruel_serve(*FLAGS, environment={"ORUEL_STORE": str(store)}) as running:
        yield running


def command(*arguments: str, store: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "oruel", *arguments, "--store", str(store)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(store: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(store)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def ask(server: RunningServer, key: str = "", **headers: str) -> httpx2.Response:
    sent = {"authorization": f"Bearer {key}"} if key else {}
    url = f"{server.base_url}/chat/completions"
    return httpx2.post(url, json=BODY, headers=sent | headers, timeout=30)


def test_requests_are_recorded_and_keys_take_effect_while_the_server_runs(server: RunningServer, store: Path) -> None:
    assert "not required" in "".join(server.lines)
    assert f"ledger      {store}" in "".join(server.lines)
    answer = ask(server, **{"idempotency-key": "once"})
    assert (answer.status_code, answer.json()["usage"]["cost"]) == (200, "0")
    again = ask(server, **{"idempotency-key": "once"})
    assert (again.content, again.headers["x-oruel-replayed"]) == (answer.content, "true")
    usage = answer.json()["usage"]
    query = "SELECT id, status, prompt_tokens, completion_tokens, account FROM requests"
    spent = (usage["prompt_tokens"], usage["completion_tokens"])
    assert rows(store, query) == [(answer.json()["id"], "finished", *spent, None)]

    command("accounts", "create", "team", store=store)
    key = command("keys", "create", "team", store=store).strip()
    deadline = time.monotonic() + 10
    while ask(server).status_code != 401:
        assert time.monotonic() < deadline, "the server still needs no key"
        time.sleep(0.05)
    assert ask(server, key).status_code == 200
    assert key not in "".join(server.lines)


def test_the_store_belongs_to_its_user_and_a_stopped_server_leaves_it(store: Path) -> None:
    with oruel_serve(*FLAGS, environment={"ORUEL_STORE": str(store)}) as running:
        assert ask(running).status_code == 200
        assert len(rows(store, "SELECT id FROM instances")) == 1
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    assert rows(store, "SELECT id FROM instances") == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in store.parent.iterdir()} == {0o600}


def refusal(*flags: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "oruel", "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_server_that_others_can_reach_needs_a_key_of_the_store(store: Path) -> None:
    reachable = ("--host", "0.0.0.0", *FLAGS)
    assert "oruel keys create" in refusal(*reachable, "--store", str(store))
    command("accounts", "create", "team", store=store)
    command("keys", "create", "team", store=store)
    with oruel_serve(*reachable, "--store", str(store)) as running:
        assert "API keys    required" in "".join(running.lines)


@pytest.mark.parametrize("name", ["ledger", "ledger?password=" + SECRET])
def test_a_store_that_cannot_be_opened_is_reported_without_its_password(name: str) -> None:
    message = refusal("--store", f"postgresql://oruel:{SECRET}@127.0.0.1:1/{name}", "--key-secret", SECRET * 2)
    assert "127.0.0.1" in message
    assert SECRET not in message


def test_a_store_of_another_program_is_refused_and_unchanged(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE notes (text)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    assert str(other) in refusal("--store", str(other))
    assert other.read_bytes() == before
    assert json.dumps(sorted(file.name for file in tmp_path.iterdir())) == '["other.db"]'
