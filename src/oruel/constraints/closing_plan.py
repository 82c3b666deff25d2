"""A known way to the end of a document, updated at the cost of what changes."""

from collections.abc import Sequence

from oruel.constraints.tokens import TokenTable


class ClosingPlan:
    """The tokens that complete the document. It is also a plan of bytes: other tokens with the same bytes follow it."""

    def __init__(self, tokens: TokenTable, found: Sequence[int]) -> None:
        self._tokens = tokens
        self._reversed = list(reversed(found))

    def __len__(self) -> int:
        return len(self._reversed)

    def __getitem__(self, place: int) -> int:
        return self._reversed[-1 - place]

    @property
    def rest(self) -> list[int]:
        return self._reversed[::-1]

    def length_after(self, taken: Sequence[int]) -> int | None:
        """The number of tokens left after `taken`; None if `taken` leaves the plan."""
        covered = self._cover(taken)
        return None if covered is None else len(self) - covered[0] + len(covered[1])

    def follow(self, taken: Sequence[int]) -> bool:
        """Advances past `taken`. Returns False if `taken` leaves the plan."""
        covered = self._cover(taken)
        if covered is None:
            return False
        count, again = covered
        del self._reversed[len(self) - count :]
        self._reversed += reversed(again)
        return True

    def _cover(self, taken: Sequence[int]) -> tuple[int, list[int]] | None:
        """The number of the plan's tokens that `taken` reaches into, and the rest of the last of them, as tokens."""
        count, over = 0, b""
        for token in taken:
            if not over and count < len(self) and self[count] == token:
                count += 1
                continue
            piece = self._tokens.pieces[token]
            while len(over) < len(piece):
                if count == len(self) or not self._tokens.pieces[self[count]]:
                    return None
                over += self._tokens.pieces[self[count]]
                count += 1
            if not piece or not over.startswith(piece):
                return None
            over = over[len(piece) :]
        again = self._tokens.spell(over)
        return None if again is None else (count, again)
