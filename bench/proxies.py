"""Proxies of an upstream server: Oru'el, and LiteLLM in its own virtual environment, with one worker each."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.models import FOLDER
from bench.servers import ServerProcess, free_port, run_process
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.money import UNITS_PER_USD
from tests.server import oruel_serve

LITELLM = "litellm[proxy]==1.106.0"
ENVIRONMENT = FOLDER / "litellm"
START_SECONDS = 180.0
KEY_SECRET = secrets.token_hex(32)
CATALOG = """
[[models]]
name = "bench"
max_tokens = 1024
prices.standard = {{ input = 1.0, output = 2.0 }}
[[models.deployments]]
name = "stub"
base_url = "http://127.0.0.1:{port}/v1"
kind = "oruel"
model = "stub"
tiers = ["standard"]
cost = {{ input = 0.5, output = 1.0 }}
"""


@contextmanager
def upstream_stub() -> Iterator[ServerProcess]:
    port = free_port()
    with run_process([sys.executable, "-m", "bench.upstream_stub", str(port)]) as process:
        wait_for_answer(port)
        yield ServerProcess("stub", port, process.pid)


@contextmanager
def oruel_proxy(upstream: ServerProcess, name: str = "oruel", store: str | None = None) -> Iterator[ServerProcess]:
    """With a `store`, every request belongs to a prepaid account, and to a key with every kind of limit."""
    environment = {"ORUEL_STORE": store, "ORUEL_KEY_SECRET": KEY_SECRET} if store else {}
    key = create_key(store) if store else None
    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "catalog.toml"
        catalog.write_text(CATALOG.format(port=upstream.port))
        with oruel_serve("--catalog", str(catalog), environment=environment) as server:
            yield ServerProcess(name, int(server.url.rpartition(":")[2]), server.process.pid, key)


def create_key(store: str) -> str:
    """A key whose limits are never reached."""
    database = Database.open(store)
    administration = Administration(database, KeySecret(KEY_SECRET.encode()))
    account = administration.create_account("bench", 10**6 * UNITS_PER_USD)
    limits = KeyTerms(
        day_limit=10**6 * UNITS_PER_USD,
        month_limit=10**6 * UNITS_PER_USD,
        requests_per_minute=10**8,
        tokens_per_minute=10**11,
        concurrent_requests=10**4,
    )
    _, key = administration.create_key(account.id, limits)
    database.close()
    return key


@contextmanager
def litellm_proxy(upstream: ServerProcess, *, with_key: bool = False) -> Iterator[ServerProcess]:
    """`with_key`: it requires its master key, which needs no database. Its other keys need one, and then the native
    engines of Prisma, which are downloaded when it is set up.
    """
    program = install_litellm()
    port = free_port()
    key = f"sk-{secrets.token_hex(24)}" if with_key else None
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        params = {"model": "openai/stub", "api_base": f"http://127.0.0.1:{upstream.port}/v1", "api_key": "x"}
        # JSON is YAML.
        settings = {"general_settings": {"master_key": key}} if key else {}
        config.write_text(json.dumps({"model_list": [{"model_name": "bench", "litellm_params": params}], **settings}))
        command = [
            str(program),
            "--config",
            str(config),
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
            "--num_workers",
            "1",
        ]
        # Allows access without a key, as with Oru'el's proxy without a store.
        open_to_all = {} if key else {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
        environment = os.environ | open_to_all
        with run_process(command, cwd=folder, env=environment) as process:
            wait_for_answer(port, key)
            yield ServerProcess("litellm", port, process.pid, key)


def install_litellm() -> Path:
    """The path of the LiteLLM program, which is installed on first use."""
    program = ENVIRONMENT / "bin" / "litellm"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "-qq", "--only-binary", ":all:"]
        subprocess.run([*pip, LITELLM], check=True)
    return program


def wait_for_answer(port: int, key: str | None = None) -> None:
    """Waits until the server answers a chat request. Raises RuntimeError after START_SECONDS."""
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "x"}]}).encode()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server on port {port} did not answer within {START_SECONDS:g} s")
