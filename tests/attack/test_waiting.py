"""One client at full speed doesn't keep another waiting: neither a plain chat, nor a schema, nor a tool call."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.attack.payloads import ATTACKS
from tests.attack.victim import REQUESTS, waits
from tests.server import RunningServer, oruel_serve

pytestmark = pytest.mark.model

LONGEST_WAIT_SECONDS = 0.5
WARM_UP_SECONDS = 0.5
SECONDS = 2.5


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with oruel_serve() as running:
        yield running


@contextmanager
def attacked(name: str, port: int) -> Iterator[None]:
    attacker = subprocess.Popen([sys.executable, "-m", "tests.attack", name, str(port)])
    try:
        yield
    finally:
        attacker.kill()
        attacker.wait()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attacker_keeps_nobody_waiting_for_half_a_second(server: RunningServer, attack: str) -> None:
    port = int(server.url.rsplit(":")[-1])
    with attacked(attack, port):
        list(waits(port, WARM_UP_SECONDS))
        waited: dict[str, list[float]] = defaultdict(list)
        for request, seconds in waits(port, SECONDS):
            waited[request].append(seconds)
    print({request: f"{max(seconds):.3f} s of {len(seconds)}" for request, seconds in waited.items()})
    assert waited.keys() == REQUESTS.keys(), "each kind of request was answered"
    assert max(max(seconds) for seconds in waited.values()) <= LONGEST_WAIT_SECONDS
