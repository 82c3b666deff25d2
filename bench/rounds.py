"""Runs servers and measures them in turn. The order alternates between rounds."""

from collections.abc import Callable, Iterator, Sequence
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
    """The measurements of both, as by `measure_all_in_turn`."""
    measured = measure_all_in_turn((ours, theirs), rounds, measure)
    return measured[ours.name], measured[theirs.name]


def measure_all_in_turn(
    servers: Sequence[ServerProcess], rounds: int, measure: Callable[[ServerProcess, int], T]
) -> dict[str, list[T]]:
    """Calls `measure` with each server and the round, and returns what it returned by the servers' names. Drops the
    first round, which warms up the servers.
    """
    measured: dict[str, list[T]] = {server.name: [] for server in servers}
    for round_ in range(rounds + 1):
        for server in servers if round_ % 2 else reversed(servers):
            measured[server.name].append(measure(server, round_))
    return {name: values[1:] for name, values in measured.items()}
