"""`python -m tests.attack NAME PORT`: attacks a server at full speed on several connections, until killed."""

import socket
import sys
import threading
import time
from contextlib import suppress

from tests.attack.payloads import Payload, payloads

CONNECTIONS = 8
TIMEOUT_SECONDS = 60
# A refusal takes a server about 0.2 ms. Without a pause, this would measure how fast connections are opened.
PAUSE_SECONDS = 0.005


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    threads = [threading.Thread(target=attack, args=(name, port, number)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()


def attack(name: str, port: int, number: int) -> None:
    for payload in payloads(name, number, CONNECTIONS):
        with suppress(OSError):
            exchange(payload, port)
        time.sleep(PAUSE_SECONDS)


def exchange(payload: Payload, port: int) -> None:
    """Sends the whole payload, then waits for the first bytes of an answer."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        for part in payload:
            connection.sendall(part)
        connection.recv(4096)


if __name__ == "__main__":
    main()
