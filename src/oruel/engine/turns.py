"""A queue that is fair between accounts. Within an account, the item that is due first goes first. Pure."""

from collections import OrderedDict
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Accounts take turns, one item each. An account that joins, or that just had its turn, is last."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, dict[int, tuple[float, Item]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, key: int, account: str, due: float, item: Item) -> None:
        """`due` is a time of the caller's clock."""
        self._lines.setdefault(account, {})[key] = due, item

    def remove(self, key: int) -> bool:
        """Returns whether the item was there."""
        for account, line in self._lines.items():
            if key in line:
                self._take(account, key)
                return True
        return False

    def next(self) -> Item | None:
        """Removes and returns the next item; None if there is none."""
        if not self._lines:
            return None
        account, line = next(iter(self._lines.items()))
        first = min(line, key=lambda key: line[key][0])
        item = self._take(account, first)
        if account in self._lines:
            self._lines.move_to_end(account)
        return item

    def _take(self, account: str, key: int) -> Item:
        line = self._lines[account]
        _, item = line.pop(key)
        if not line:
            del self._lines[account]
        return item
