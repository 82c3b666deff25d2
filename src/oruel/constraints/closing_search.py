"""Searches greedily for tokens that lead from a matcher's state to the end of its grammar. The work is counted and done
in pieces, so that no caller waits for a whole search.
"""

from collections.abc import Generator, Iterator, Sequence
from copy import copy

import llguidance
import numpy as np

from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import MAX_WORK, WorkBudget

# Bytes that may end a JSON value or begin a short one, the shortest ends first. Inside a string, only its end.
OUTSIDE = b'}],0"tfn-1'
INSIDE = b'"'

# The cost of a mask in units of a WorkBudget; one unit more per TOKENS_PER_WORK tokens of the vocabulary.
MASK_WORK, TOKENS_PER_WORK = 10, 4000
# How many tokens the matcher gets at once.
TOKENS_AT_ONCE = 100
# How many forced tokens cost as much as one trial.
FORCED_PER_WORK = 8
# If the library fails within this many tokens, no document of the grammar can be written.
EARLY_FAILURE_TOKENS = 100
# At how many positions of one string the hints are tried.
MAX_HINTED_POSITIONS = 8


# Tokens, and how many of them precede or are the quote that ends the string.
Hint = tuple[Sequence[int], int]


class DocumentPosition:
    """The position of a sequence in its text: in the free text before the tokens `reasoning_end`, in the document, or
    in one of its strings.
    """

    def __init__(self, tokens: TokenTable, reasoning_end: Sequence[int] = ()) -> None:
        self.reasoning_end = reasoning_end
        self.is_free = bool(reasoning_end)
        self.is_in_string = False
        self._is_escaped = False
        self._pieces = tokens.pieces
        self._marker = b"".join(tokens.pieces[token] for token in reasoning_end)
        self._tail = b""

    def copy(self) -> "DocumentPosition":
        return copy(self)

    def feed(self, token: int) -> bytes:
        """Returns those bytes of the token that belong to the document."""
        data = self._pieces[token]
        if self.is_free:
            data = self._document_part(token, data)
        for byte in data:
            if self._is_escaped:
                self._is_escaped = False
            elif byte == ord('"'):
                self.is_in_string = not self.is_in_string
            elif byte == ord("\\"):
                self._is_escaped = self.is_in_string
        return data

    def _document_part(self, token: int, data: bytes) -> bytes:
        """The part of `data` that belongs to the document."""
        if not self._pieces[self.reasoning_end[0]]:
            # `reasoning_end` begins with a control token, which can't be part of the free text.
            self.is_free = token != self.reasoning_end[0]
            return b""
        text = self._tail + data
        _, found, after = text.partition(self._marker)
        self.is_free = not found
        self._tail = text[-len(self._marker) :]
        return after


class ClosingSearch:
    """Searches for at most `most` tokens that lead to the grammar's end after `taken`. `known` is an earlier result,
    which the search follows first, as far as possible; each hint ends some strings. The search owns the matcher until
    it has ended, and then restores its state. `found` is None if it finds no such tokens. `is_refused` is set if the
    library fails within the first few tokens.
    """

    def __init__(
        self,
        matcher: llguidance.LLMatcher,
        tokens: TokenTable,
        place: DocumentPosition,
        most: int,
        *,
        taken: Sequence[int] = (),
        known: Sequence[int] = (),
        hints: Sequence[Hint] = (),
    ) -> None:
        self.found: list[int] | None = None
        self.is_refused = False
        self._matcher = matcher
        self._tokens = tokens
        self._start = place.copy()
        self._most = most
        self._hints = hints
        self._taken: list[int] = []
        self._forced: list[int] = []
        self._spent = 0
        self._pieces = self._run(taken, known)

    def proceed(self, work: WorkBudget) -> bool:
        """Returns whether the search has ended."""
        while work.left > 0:
            before = self._spent
            if next(self._pieces, None) is None:
                return True
            work.left -= max(1, self._spent - before)
        return False

    def _run(self, taken: Sequence[int], known: Sequence[int]) -> Generator[bool, None, None]:
        for attempt in (known, ()) if known else ((),):
            self._place, self._taken, self._hinted_positions, self._last = self._start.copy(), [], 0, -1
            self._forced = []
            is_possible = self._take(taken)
            yield True
            for start in range(0, len(attempt) if is_possible else 0, TOKENS_AT_ONCE):
                part = attempt[start : start + TOKENS_AT_ONCE]
                if not self._take(part, whole=False) or len(self._taken) % TOKENS_AT_ONCE != len(taken):
                    break
                yield True
            while is_possible and not self._is_at_end and self._advance():
                yield True
            if self._matcher.is_error():
                # Further on, only this particular way may be too much for the library.
                self.is_refused = len(self._taken) <= EARLY_FAILURE_TOKENS
                return
            has_arrived = is_possible and self._is_at_end and len(self._taken) - len(taken) <= self._most
            if has_arrived:
                self.found = self._taken[len(taken) :]
            if self._taken:
                self._matcher.rollback(len(self._taken))
            if has_arrived or not is_possible:
                return

    @property
    def _is_at_end(self) -> bool:
        return bool(self._matcher.is_accepting())

    def _advance(self) -> bool:
        """Takes one step. Returns False if no step is possible or the work limit is reached."""
        if self._spent > MAX_WORK or len(self._taken) > self._most + 1 or self._matcher.is_error():
            return False
        return self._force() or any(self._take(way, whole=whole) for way, whole in self._continuations())

    def _force(self) -> bool:
        """Takes some of the forced tokens, which are computed once and taken in parts."""
        if not self._forced:
            self._forced = self._matcher.compute_ff_tokens()
        before = len(self._taken)
        is_forced = self._take(self._forced[:TOKENS_AT_ONCE], whole=False)
        count = len(self._taken) - before
        self._spent -= count - count // FORCED_PER_WORK
        self._forced = self._forced[count:] if is_forced else []
        return is_forced

    def _continuations(self) -> Iterator[tuple[Sequence[int], bool]]:
        """Candidate continuations, each with whether only the whole of it counts."""
        if self._place.is_free:
            yield self._place.reasoning_end, False
        likely = INSIDE if self._place.is_in_string else OUTSIDE
        yield from (([self._tokens.single[byte]], True) for byte in likely if byte in self._tokens.single)
        if self._place.is_in_string:
            yield from self._string_ends()
        self._spent += MASK_WORK + self._tokens.size // TOKENS_PER_WORK
        short = shortest_token(self._matcher, self._tokens)
        self._last = short[0] if short and self._place.is_in_string else -1
        yield short, True

    def _string_ends(self) -> Iterator[tuple[Sequence[int], bool]]:
        """Every hint that ends a string, from each of its positions on; then the last token once more."""
        if self._hinted_positions < MAX_HINTED_POSITIONS:
            self._hinted_positions += 1
            for hint, end in self._hints:
                yield from ((hint[start:], True) for start in range(end))
        if self._last >= 0:
            yield [self._last], True

    def _take(self, wanted: Sequence[int], *, whole: bool = True) -> bool:
        """Takes `wanted`, or unless `whole`, as many of them as the grammar allows. Returns whether it took any."""
        count = self._matcher.try_consume_tokens(list(wanted)) if wanted else 0
        self._spent += 1 + count
        if whole and count < len(wanted):
            if count:
                self._matcher.rollback(count)
            return False
        for token in wanted[:count]:
            self._taken.append(token)
            if b'"' in self._place.feed(token):
                self._hinted_positions, self._last = 0, -1
        return count > 0 or (not wanted and whole)


def shortest_token(matcher: llguidance.LLMatcher, tokens: TokenTable) -> list[int]:
    """The shortest token that may follow; a control token if no text may; empty if the grammar has failed."""
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    single = tokens.single_first
    # Nearly always a token of a single byte may follow, which spares a search of the whole vocabulary.
    found: list[int] = single[(bits[single >> 3] >> (single & 7)) & 1 > 0][:1].tolist()
    if found:
        return found
    allowed = np.unpackbits(bits, count=tokens.size, bitorder="little").view(np.bool_)
    places = np.flatnonzero(allowed[tokens.shortest_first])
    found = tokens.shortest_first[places[:1]].tolist()
    return found or [token for token in np.flatnonzero(allowed).tolist() if token not in tokens.ends][:1]
