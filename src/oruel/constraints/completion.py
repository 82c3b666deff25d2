"""The way out of a grammar: tokens that lead from where a matcher stands to an end, found greedily."""

from collections.abc import Iterator, Sequence
from copy import copy

import llguidance
import numpy as np

from oruel.constraints.tokens import Tokens

# What may end a JSON value or begin a short one, the shortest ends first; inside a string only its end.
OUTSIDE = b'}],0"tfn-1'
INSIDE = b'"'


class Place:
    """Where in its text a sequence stands: in what is free before the document, until the tokens `leave` have ended
    that; in the document; or inside one of its strings.
    """

    def __init__(self, tokens: Tokens, leave: Sequence[int] = ()) -> None:
        self.leave = leave
        self.is_free = bool(leave)
        self.is_in_string = False
        self._is_escaped = False
        self._pieces = tokens.pieces
        self._marker = b"".join(tokens.pieces[token] for token in leave)
        self._tail = b""

    def copy(self) -> "Place":
        return copy(self)

    def feed(self, token: int) -> None:
        data = self._pieces[token]
        if self.is_free:
            data = self._leave(token, data)
        for byte in data:
            if self._is_escaped:
                self._is_escaped = False
            elif byte == ord('"'):
                self.is_in_string = not self.is_in_string
            elif byte == ord("\\"):
                self._is_escaped = self.is_in_string

    def _leave(self, token: int, data: bytes) -> bytes:
        """What of `data` belongs to the document."""
        if not self._pieces[self.leave[0]]:
            # A control token: none is part of free text.
            self.is_free = token != self.leave[0]
            return b""
        text = self._tail + data
        _, found, after = text.partition(self._marker)
        self.is_free = not found
        self._tail = text[-len(self._marker) :]
        return after


def completion(
    matcher: llguidance.LLMatcher, tokens: Tokens, place: Place, most: int, first: Sequence[int] = ()
) -> list[int] | None:
    """At most `most` tokens from here to the grammar's end, or None where the search found no such way; `first` is
    tried first, as far as it goes. Leaves the matcher where it is.
    """
    search = _Search(matcher, tokens, place.copy())
    search.take(first[:most])
    while len(search.plan) <= most and not matcher.is_accepting() and search.advance():
        pass
    found = matcher.is_accepting() and len(search.plan) <= most
    if search.plan:
        matcher.rollback(len(search.plan))
    return search.plan if found else None


class _Search:
    def __init__(self, matcher: llguidance.LLMatcher, tokens: Tokens, place: Place) -> None:
        self.plan: list[int] = []
        self._matcher = matcher
        self._tokens = tokens
        self._place = place

    def take(self, wanted: Sequence[int]) -> bool:
        """As many of these tokens as the grammar allows; whether it was any."""
        taken = wanted[: self._matcher.try_consume_tokens(list(wanted))]
        self.plan += taken
        for token in taken:
            self._place.feed(token)
        return bool(taken)

    def advance(self) -> bool:
        return any(map(self.take, self._ways()))

    def _ways(self) -> Iterator[Sequence[int]]:
        yield self._matcher.compute_ff_tokens()
        if self._place.is_free:
            yield self._place.leave
        likely = INSIDE if self._place.is_in_string else OUTSIDE
        yield from ([self._tokens.single[byte]] for byte in likely if byte in self._tokens.single)
        yield shortest(self._matcher, self._tokens)


def shortest(matcher: llguidance.LLMatcher, tokens: Tokens) -> list[int]:
    """The shortest token that may follow, a control token where no text may; none where the grammar has failed."""
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    allowed = np.unpackbits(bits, count=tokens.size, bitorder="little").view(np.bool_)
    places = np.flatnonzero(allowed[tokens.shortest_first])
    found: list[int] = tokens.shortest_first[places[:1]].tolist()
    return found or [token for token in np.flatnonzero(allowed).tolist() if token not in tokens.ends][:1]
