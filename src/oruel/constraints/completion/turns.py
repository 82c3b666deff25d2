"""Several sources of values, read in turn."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_turn(sources: Sequence[Iterator[T]]) -> Iterator[T]:
    """One of each, until all have ended."""
    running = list(sources)
    while running:
        still = []
        for source in running:
            for one in islice(source, 1):
                yield one
                still.append(source)
        running = still
