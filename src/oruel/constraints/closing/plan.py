"""A known way to the end of a document, updated at the cost of what changes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.tokens import TokenTable

# Where a value may have ended: before these bytes, outside strings.
AFTER_VALUES = frozenset(b",]}")


class Seam(NamedTuple):
    """A place in a plan after a value in `depth` brackets: `offset` bytes into the token that `behind` others
    follow.
    """

    depth: int
    behind: int
    offset: int


class ClosingPlan:
    """The tokens that complete the document from `place` on. It is also a plan of bytes: other tokens with the same
    bytes follow it. After another value in one of the open brackets it goes on as before, from the bracket's next seam.
    """

    def __init__(self, tokens: TokenTable, found: Sequence[int], place: DocumentPosition) -> None:
        self._tokens = tokens
        self._reversed: list[int] = []
        # The nearest last.
        self._seams: list[Seam] = []
        self._precede(found, place)

    def __len__(self) -> int:
        return len(self._reversed)

    def __getitem__(self, place: int) -> int:
        return self._reversed[-1 - place]

    @property
    def rest(self) -> list[int]:
        return self._reversed[::-1]

    @property
    def value_rest(self) -> list[int]:
        """The rest of the value in progress."""
        if not self._seams:
            return self.rest
        _, behind, offset = self._seams[-1]
        return self._reversed[:behind:-1] + self._spell(self._piece(behind)[:offset])

    def seam(self, depth: int) -> Seam | None:
        """The next seam in `depth` of the brackets that are open now."""
        for seam in reversed(self._seams):
            if seam.depth <= depth:
                return seam if seam.depth == depth else None
        return None

    def next_seam(self, seam: Seam) -> Seam | None:
        """The one that follows `seam` in the plan."""
        at = self._seams.index(seam)
        return self._seams[at - 1] if at else None

    def length_from(self, seam: Seam) -> int:
        """The number of tokens after the seam."""
        return seam.behind + (len(self._piece(seam.behind)) - seam.offset if seam.offset else 1)

    def after(self, seam: Seam) -> list[int]:
        """The tokens after the seam."""
        rest = self._reversed[seam.behind :: -1]
        return self._spell(self._piece(seam.behind)[seam.offset :]) + rest[1:] if seam.offset else rest

    def length_after(self, taken: Sequence[int]) -> int | None:
        """The number of tokens left after `taken`; None if `taken` leaves the plan."""
        covered = self._cover(taken)
        return None if covered is None else len(self) - covered[0] + covered[1]

    def follow(self, taken: Sequence[int]) -> bool:
        """Advances past `taken`. Returns False if `taken` leaves the plan."""
        covered = self._cover(taken)
        if covered is None:
            return False
        count, left = covered
        behind = len(self) - count
        self._cut(behind, len(self._piece(behind)) - left) if left else self._cut(behind - 1, 0)
        return True

    def splice(self, taken: Sequence[int], place: DocumentPosition, seam: Seam) -> None:
        """Replaces everything before the seam by `taken`, which begins at `place`."""
        self._cut(seam.behind, seam.offset)
        self._precede(taken, place)

    def _precede(self, found: Sequence[int], place: DocumentPosition) -> None:
        """Puts tokens, which begin at `place`, before the plan."""
        last = len(self) + len(found) - 1
        nearest_first = [Seam(depth, last - at, offset) for depth, at, offset in seams(self._tokens, found, place)]
        self._seams += reversed(nearest_first)
        self._reversed += reversed(found)

    def _cut(self, behind: int, offset: int) -> None:
        """Drops all tokens before one, and its first `offset` bytes."""
        while self._seams and (self._seams[-1].behind, -self._seams[-1].offset) > (behind, -offset):
            self._seams.pop()
        if not offset:
            del self._reversed[behind + 1 :]
            return
        rest = self._spell(self._piece(behind)[offset:])
        self._reversed[behind:] = reversed(rest)
        for at in range(len(self._seams) - 1, -1, -1):
            seam = self._seams[at]
            if seam.behind != behind:
                break
            self._seams[at] = Seam(seam.depth, behind + len(rest) - 1 - (seam.offset - offset), 0)

    def _cover(self, taken: Sequence[int]) -> tuple[int, int] | None:
        """The number of the plan's tokens that `taken` reaches into, and how many bytes of the last are left."""
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
        return None if self._tokens.spell(over) is None else (count, len(over))

    def _piece(self, behind: int) -> bytes:
        return self._tokens.pieces[self._reversed[behind]]

    def _spell(self, data: bytes) -> list[int]:
        spelled = self._tokens.spell(data)
        assert spelled is not None, data
        return spelled


def seams(tokens: TokenTable, found: Sequence[int], place: DocumentPosition) -> Iterator[tuple[int, int, int]]:
    """The depth, the index of the token and the offset in it of each seam in tokens that begin at `place`."""
    place = place.copy()
    for at, token in enumerate(found):
        data = tokens.pieces[token]
        if place.is_free or AFTER_VALUES.isdisjoint(data):
            place.feed(token)
            continue
        for offset, byte in enumerate(data):
            if byte in AFTER_VALUES and not place.is_in_string and (not offset or can_spell(tokens, data)):
                yield place.depth, at, offset
            place.feed_byte(byte)


def can_spell(tokens: TokenTable, data: bytes) -> bool:
    return tokens.spell(data) is not None
