"""A fake model: token t is followed by t + 1. It keeps KV cells as llama.cpp does and checks the batches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VOCABULARY_SIZE = 64
END = 0


class CountingContext:
    """`rows` counts the tokens computed, padding included."""

    def __init__(self, sequences: int = 4, window: int = 64, *, strict: bool = True) -> None:
        self.sequences = sequences
        self.window = window
        self.threads = 1
        self.strict = strict
        self.cells: list[list[int]] = [[] for _ in range(sequences)]
        self.rows = 0
        self.copies = 0
        self.broken: set[int] = set()

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequence_ids: Sequence[int], outputs: Sequence[bool]
    ) -> NDArray[np.float32]:
        assert len(tokens) == len(positions) == len(sequence_ids) == len(outputs) > 0
        if self.strict:
            check_shape(sequence_ids, outputs)
        logits = []
        for token, position, slot, wanted in zip(tokens, positions, sequence_ids, outputs, strict=True):
            assert position == len(self.cells[slot]) < self.window, "cells are filled in order of position"
            self.cells[slot].append(token)
            self.rows += 1
            if wanted:
                logits.append(self.logits(token, slot))
        return np.array(logits, dtype=np.float32).reshape(-1, VOCABULARY_SIZE)

    def logits(self, token: int, slot: int) -> NDArray[np.float32]:
        if token in self.broken:
            return np.full(VOCABULARY_SIZE, np.nan, dtype=np.float32)
        row = np.zeros(VOCABULARY_SIZE, dtype=np.float32)
        row[(token + 1) % VOCABULARY_SIZE] = 9.0
        return row

    def copy(self, source: int, target: int) -> None:
        assert source != target
        self.cells[target] = list(self.cells[source])
        self.copies += 1

    def forget(self, sequence_id: int, from_position: int = 0) -> None:
        del self.cells[sequence_id][from_position:]


def check_shape(slots: Sequence[int], outputs: Sequence[bool]) -> None:
    """The rules of docs/determinism.md, which make a row's bits independent of its neighbours."""
    assert len(slots) >= 2, "a product with one row takes another kernel"
    assert sum(outputs) != 1, "the output layer with one row takes another kernel"
    assert len(set(slots)) == 1 or list(slots) == list(range(slots[0], slots[0] + len(slots))), "adjacent slots"
    assert len(set(slots)) > 1 or len(slots) < 64, "64 rows of one sequence take another kernel"
