"""Both servers up at once, measured in turn: the one that goes first changes every round."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from bench.servers import Served, Setting, llama_server, oruel

T = TypeVar("T")


@contextmanager
def both(setting: Setting) -> Iterator[tuple[Served, Served]]:
    with oruel(setting) as ours, llama_server(setting) as theirs:
        yield ours, theirs


def in_turn(ours: Served, theirs: Served, rounds: int, measure: Callable[[Served, int], T]) -> tuple[list[T], list[T]]:
    """`measure` is given the server and the round; a first round warms both up and is left out."""
    measured: dict[str, list[T]] = {ours.name: [], theirs.name: []}
    for round_ in range(rounds + 1):
        for server in (ours, theirs) if round_ % 2 else (theirs, ours):
            measured[server.name].append(measure(server, round_))
    return measured[ours.name][1:], measured[theirs.name][1:]
