"""Runs both servers and measures them in turn. The order alternates between rounds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from bench.servers import ServerProcess, Setting, llama_server, oruel_server

T = TypeVar("T")


@contextmanager
def both_servers(setting: Setting) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with oruel_server(setting) as ours, llama_server(setting) as theirs:
        yield ours, theirs


def measure_in_turn(
    ours: ServerProcess, theirs: ServerProcess, rounds: int, measure: Callable[[ServerProcess, int], T]
) -> tuple[list[T], list[T]]:
    """Calls `measure` with the server and the round. Drops the first round, which warms up both servers."""
    measured: dict[str, list[T]] = {ours.name: [], theirs.name: []}
    for round_ in range(rounds + 1):
        for server in (ours, theirs) if round_ % 2 else (theirs, ours):
            measured[server.name].append(measure(server, round_))
    return measured[ours.name][1:], measured[theirs.name][1:]
