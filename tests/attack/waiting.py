"""`python -m tests.attack.waiting [ATTACK ...]`: how long a client waits while another attacks at full speed.

Prints the longest wait for each kind of request. Exits with status 1 if some wait exceeded half a second in each of
five tries; a single one may be the machine's fault. The result depends on the machine, so `make test` doesn't run it.
"""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from tests.attack.payloads import ATTACKS
from tests.attack.victim import REQUESTS, measure_waits
from tests.server import oruel_serve

LONGEST_WAIT_SECONDS = 0.5
WARM_UP_SECONDS = 0.5
SECONDS = 2.5
TRIES = 5


def main() -> int:
    late = 0
    with oruel_serve() as server:
        port = int(server.url.rsplit(":")[-1])
        list(measure_waits(port, WARM_UP_SECONDS))
        for attack in sys.argv[1:] or ATTACKS:
            late += all(is_late(attack, port) for _ in range(TRIES))
    print(f"{late} attacks made a request wait for more than {LONGEST_WAIT_SECONDS:g} s in each of {TRIES} tries")
    return int(late > 0)


def is_late(attack: str, port: int) -> bool:
    longest = longest_waits(attack, port)
    print(f"{attack:26}", "  ".join(f"{name} {longest[name]:.3f} s" for name in REQUESTS), flush=True)
    return max(longest.values()) > LONGEST_WAIT_SECONDS


def longest_waits(attack: str, port: int) -> dict[str, float]:
    longest: dict[str, float] = defaultdict(float)
    with run_attacker(attack, port):
        list(measure_waits(port, WARM_UP_SECONDS))
        for request, seconds in measure_waits(port, SECONDS):
            longest[request] = max(longest[request], seconds)
    return longest


@contextmanager
def run_attacker(name: str, port: int) -> Iterator[None]:
    attacker = subprocess.Popen([sys.executable, "-m", "tests.attack", name, str(port)])
    try:
        yield
    finally:
        attacker.kill()
        attacker.wait()


if __name__ == "__main__":
    sys.exit(main())
