"""Rows follow vLLM's batch: removed, added and moved, in this order."""

import random

from oruel_vllm.batch_rows import BatchEntry, BatchRows, Move
from oruel_vllm.row import ScriptedRow


class NamedRow(ScriptedRow):
    def __init__(self, name: str) -> None:
        super().__init__([])
        self.name = name
        self.closed = False

    def close(self) -> None:
        self.closed = True


def entry(name: str) -> BatchEntry:
    return BatchEntry(NamedRow(name), [])


def names(rows: BatchRows) -> dict[int, str]:
    return {index: entry.row.name for index, entry in rows.entries.items() if isinstance(entry.row, NamedRow)}


def test_a_row_of_another_client_takes_a_place_and_leaves_no_trace() -> None:
    rows = BatchRows()
    first = entry("a")
    rows.add(0, first)
    rows.add(0, None)
    assert names(rows) == {}
    assert isinstance(first.row, NamedRow)
    assert first.row.closed


def test_a_swap_exchanges_two_rows_of_which_one_may_be_another_clients() -> None:
    rows = BatchRows()
    rows.add(0, entry("a"))
    rows.add(1, entry("b"))
    rows.move([Move(0, 1, swap=True), Move(1, 2, swap=True)])
    assert names(rows) == {0: "b", 2: "a"}


def test_a_one_way_move_replaces_what_was_there() -> None:
    rows = BatchRows()
    rows.add(0, entry("a"))
    rows.add(3, entry("b"))
    rows.move([Move(3, 0, swap=False)])
    assert names(rows) == {0: "b"}


def test_rows_follow_any_sequence_of_changes() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chooser = random.Random(seed)
    rows = BatchRows()
    places: list[str | None] = [None] * 8
    for number in range(500):
        removed = [index for index in range(8) if chooser.random() < 0.2]
        rows.remove(removed)
        for index in removed:
            places[index] = None
        for index in chooser.sample(range(8), 3):
            name = f"row {number} {index}" if chooser.random() < 0.6 else None
            rows.add(index, entry(name) if name else None)
            places[index] = name
        source, target = chooser.sample(range(8), 2)
        swap = chooser.random() < 0.5
        rows.move([Move(source, target, swap=swap)])
        places[source], places[target] = places[target] if swap else None, places[source]
        assert names(rows) == {index: name for index, name in enumerate(places) if name}
