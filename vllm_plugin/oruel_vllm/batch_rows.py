"""Which row of vLLM's batch belongs to which request, as vLLM's V1 model runner tells it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oruel_vllm.row import Row


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """`output` is vLLM's own list of the generated tokens. Only its length is used once the row runs: the ids may be
    placeholders until later.
    """

    row: Row
    output: Sequence[int]


@dataclass(frozen=True, slots=True)
class Move:
    """The row at `source` moves to `target`; with `swap`, the one at `target` moves to `source`."""

    source: int
    target: int
    swap: bool


class BatchRows:
    """Oru'el's rows by their index in the batch. Changes have to be applied in vLLM's order: removed, added, moved."""

    def __init__(self) -> None:
        self.entries: dict[int, BatchEntry] = {}

    def remove(self, indices: Iterable[int]) -> None:
        for index in indices:
            self._put(index, None)

    def add(self, index: int, entry: BatchEntry | None) -> None:
        """Replaces what was at `index`. None is a row that isn't Oru'el's."""
        self._put(index, entry)

    def move(self, moves: Iterable[Move]) -> None:
        for move in moves:
            source, target = self.entries.pop(move.source, None), self.entries.pop(move.target, None)
            if target and not move.swap:
                target.row.close()
            for index, entry in ((move.target, source), (move.source, target if move.swap else None)):
                if entry:
                    self.entries[index] = entry

    def _put(self, index: int, entry: BatchEntry | None) -> None:
        if before := self.entries.pop(index, None):
            before.row.close()
        if entry:
            self.entries[index] = entry
