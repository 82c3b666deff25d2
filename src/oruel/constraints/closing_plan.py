"""A known way to a grammar's end, kept up at the cost of what changes of it."""

from collections.abc import Sequence

from oruel.constraints.tokens import TokenTable


class ClosingPlan:
    """Tokens still to come. It is a plan of bytes as well: other tokens of the same bytes follow it just so."""

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
        """How many tokens are left behind these, None where they lead elsewhere."""
        covered = self._covered(taken)
        return None if covered is None else len(self) - covered[0] + len(covered[1])

    def follow(self, taken: Sequence[int]) -> bool:
        """Goes behind these; False where they lead elsewhere."""
        covered = self._covered(taken)
        if covered is None:
            return False
        count, again = covered
        del self._reversed[len(self) - count :]
        self._reversed += reversed(again)
        return True

    def _covered(self, taken: Sequence[int]) -> tuple[int, list[int]] | None:
        """How many of its tokens these reach into, and what is left of the last of those, in tokens."""
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
        again = self._tokens.spelled(over)
        return None if again is None else (count, again)
