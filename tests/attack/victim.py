"""The victim, another client of the same server: measures the wait for first tokens."""

import http.client
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle

from tests.attack.payloads import CHAT, chat, function, json_schema, one_property

TIMEOUT_SECONDS = 60


def plain(turn: int) -> bytes:
    return chat(messages=[{"role": "user", "content": f"Say {turn}."}], stream=True)


def schema(turn: int) -> bytes:
    return chat(**json_schema(one_property({"type": "string", "maxLength": 20 + turn}), strict=True), stream=True)


def tool_call(turn: int) -> bytes:
    parameters = {"type": "object", "properties": {f"city{turn}": {"type": "string"}, "days": {"type": "integer"}}}
    return chat(tools=[function(parameters)], tool_choice="required", stream=True)


REQUESTS: dict[str, Callable[[int], bytes]] = {"plain": plain, "schema": schema, "tool call": tool_call}


def measure_waits(port: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Sends requests for `seconds`. Yields the kind of each, and the seconds until its first chunk with a choice."""
    end = time.perf_counter() + seconds
    for turn, name in zip(count(), cycle(REQUESTS)):
        if time.perf_counter() > end:
            return
        yield name, measure_wait(port, REQUESTS[name](turn))
        time.sleep(0.02)


def measure_wait(port: int, body: bytes) -> float:
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", CHAT, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        line = response.readline()
        assert response.status == 200, (response.status, line)
        while not line.startswith(b"data: {"):
            line = response.readline()
            assert line, "the stream ended before its first chunk"
        assert b'"choices"' in line, line
        waited = time.perf_counter() - start
        response.read()
        return waited
    finally:
        connection.close()
