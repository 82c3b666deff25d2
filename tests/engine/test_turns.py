"""Accounts take turns, and within an account the item that is due first goes first."""

from oruel.engine.turns import Turns


def take_all(turns: Turns[str]) -> list[str]:
    items = []
    while (item := turns.next()) is not None:
        items.append(item)
    return items


def test_accounts_take_turns_regardless_of_their_load() -> None:
    turns: Turns[str] = Turns()
    for number in range(100):
        turns.add(number, "greedy", 1, "g")
    turns.add(100, "modest", 1000, "m")
    assert take_all(turns).index("m") == 1


def test_items_of_an_account_go_by_due_time_then_in_order() -> None:
    turns: Turns[str] = Turns()
    for key, (cost, item) in enumerate([(5, "large"), (1, "small"), (1, "next"), (3, "middle")]):
        turns.add(key, "a", cost, item)
    assert take_all(turns) == ["small", "next", "middle", "large"]


def test_an_account_that_had_its_turn_waits_for_the_others() -> None:
    turns: Turns[str] = Turns()
    turns.add(1, "a", 1, "a1")
    turns.add(2, "b", 1, "b1")
    assert turns.next() == "a1"
    turns.add(3, "a", 1, "a2")
    assert take_all(turns) == ["b1", "a2"]


def test_a_removed_item_is_not_returned() -> None:
    turns: Turns[str] = Turns()
    turns.add(1, "a", 1, "a1")
    turns.add(2, "a", 2, "a2")
    assert turns.remove(1)
    assert not turns.remove(1)
    assert len(turns) == 1
    assert take_all(turns) == ["a2"]
