"""Searches greedily for tokens that lead from a matcher's state to the end of its grammar. The work is counted and done
in pieces, so that no caller waits for a whole search.
"""

from collections.abc import Callable, Generator, Iterator, Sequence

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.closing.plan import ClosingPlan, Seam, seams
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.closing.string_ends import NO_HINTS, StringEnds
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


class ClosingSearch:
    """Searches for at most `most` tokens that lead to the grammar's end after `taken`. `plan` is the plan before
    `taken`: the search follows the rest of its value as far as possible, and ends where it can return to the plan.
    `uncertain_from` returns the outermost of so many open brackets up to whose end the plan has to be checked then; by
    default all of it is.

    The search owns the matcher until it has ended, and then restores its state. `found` is None if it finds no tokens;
    otherwise they lead to `seam` of the plan, or if that is None, to the end. `is_refused` is set if the library fails
    within the first few tokens.
    """

    def __init__(
        self,
        matcher: llguidance.LLMatcher,
        tokens: TokenTable,
        place: DocumentPosition,
        most: int,
        *,
        taken: Sequence[int] = (),
        plan: ClosingPlan | None = None,
        uncertain_from: Callable[[int], int | None] = lambda depth: 1,
        hints: StringEnds = NO_HINTS,
    ) -> None:
        self.found: list[int] | None = None
        self.seam: Seam | None = None
        self.is_refused = False
        self.matcher = matcher
        self.tokens = tokens
        self.place = place
        self.most = most
        self.taken = list(taken)
        self.plan = plan
        self._hints = hints
        self._uncertain_from = uncertain_from
        self._walked: list[int] = []
        self._forced: list[int] = []
        self._spent = 0
        self._pieces = self._run(taken)

    def proceed(self, work: WorkBudget) -> bool:
        """Returns whether the search has ended."""
        while work.left > 0:
            before = self._spent
            if next(self._pieces, None) is None:
                return True
            work.left -= max(1, self._spent - before)
        return False

    def _run(self, taken: Sequence[int]) -> Generator[bool, None, None]:
        for attempt, whole in self._attempts(taken):
            self._place, self._walked, self._hinted_positions, self._last = self.place.copy(), [], 0, -1
            self._forced = []
            is_possible = self._take(taken)
            yield True
            if is_possible:
                yield from self._walk(attempt, whole)
            if self.matcher.is_error():
                # Further on, only this particular way may be too much for the library.
                self.is_refused = len(self._walked) <= EARLY_FAILURE_TOKENS
                return
            way = self._walked[len(taken) :]
            has_arrived = self.seam or (is_possible and self.is_at_end and len(way) <= self.most)
            if has_arrived:
                self.found = way
            if self._walked:
                self.matcher.rollback(len(self._walked))
            if has_arrived or not is_possible:
                return

    def _attempts(self, taken: Sequence[int]) -> Iterator[tuple[Sequence[int], bool]]:
        """Tokens to follow first, and whether only all of them count: before a document, the whole plan; in it, the
        rest of the plan's value, as if `taken` had been inserted before it, or as if it had replaced as many bytes; as
        much as possible of the rest; none.
        """
        known = self.plan.value_rest if self.plan else []
        if self.plan and self.place.is_free:
            yield self.plan.rest, False
        elif known:
            length = sum(len(self.tokens.pieces[token]) for token in taken)
            written = b"".join(self.tokens.pieces[token] for token in known)
            yield known, True
            yield self.tokens.spell(written[length:]) or (), True
            yield known, False
        yield (), False

    def _walk(self, attempt: Sequence[int], whole: bool) -> Generator[bool, None, None]:
        """Goes from after `taken` to a seam of the plan, to the end, or as far as possible."""
        before = len(self._walked)
        if whole:
            if not (yield from self._return_to_plan(before)) and self._take(attempt[:TOKENS_AT_ONCE]):
                yield from self._return_to_plan(before)
            return
        followed = 0
        while not self.is_at_end:
            if (yield from self._return_to_plan(before)):
                return
            part = attempt[followed : followed + TOKENS_AT_ONCE]
            if part and self._take(part, whole=False):
                followed = len(self._walked) - before
                attempt = attempt if followed % TOKENS_AT_ONCE == 0 else ()
            elif not self._advance():
                return
            else:
                attempt = ()
            yield True

    def _return_to_plan(self, before: int) -> Generator[bool, None, bool]:
        """Returns whether the plan can be followed again from here on, within the limit. `before`: how many of the
        tokens don't count.
        """
        place = self._place
        if not self.plan or place.is_free or place.is_in_string or place.depth > place.floor:
            return False
        seam = self.plan.seam(place.depth)
        if seam is None or len(self._walked) - before + self.plan.length_from(seam) > self.most:
            return False
        if (yield from self._can_follow(self.plan.after(seam), self._tokens_to_check(seam))):
            self.seam = seam
        return self.seam is not None

    def _can_follow(self, rest: Sequence[int], checked: int) -> Generator[bool, None, bool]:
        """Whether the grammar accepts the first `checked` tokens; if these are all, also whether it ends there."""
        count = yield from self.consume(rest[:checked])
        can_follow = count >= min(checked, len(rest)) and (count < len(rest) or self.may_end)
        if count:
            self.matcher.rollback(count)
        return can_follow

    def consume(self, wanted: Sequence[int]) -> Generator[bool, None, int]:
        """Gives the matcher as many of the tokens as the grammar allows, in parts, and returns how many."""
        count, accepted = 0, TOKENS_AT_ONCE
        while accepted == TOKENS_AT_ONCE and count < len(wanted):
            if count:
                yield True
            accepted = self.matcher.try_consume_tokens(list(wanted[count : count + TOKENS_AT_ONCE]))
            self._spent += 1 + accepted
            count += accepted
        return count

    def _tokens_to_check(self, seam: Seam) -> int:
        """How many tokens after the seam show that the plan can be followed to its end: those of the next key or value,
        and of the brackets in which what follows depends on more than the next key.
        """
        assert self.plan
        end = self.plan.next_seam(seam)
        uncertain = self._uncertain_from(seam.depth)
        if uncertain is not None:
            end = self.plan.seam(uncertain - 1)
        return seam.behind - end.behind + 1 if end else self.plan.length_from(seam)

    @property
    def is_at_end(self) -> bool:
        """Whether the tokens walked so far reach the end."""
        return self.may_end

    @property
    def may_end(self) -> bool:
        """Whether the grammar may end after a document that the matcher has consumed."""
        return bool(self.matcher.is_accepting())

    def _advance(self) -> bool:
        """Takes one step. Returns False if no step is possible or the work limit is reached."""
        if self._spent > MAX_WORK or len(self._walked) > self.most + 1 or self.matcher.is_error():
            return False
        return self._force() or any(self._take(way, whole=whole) for way, whole in self._continuations())

    def _force(self) -> bool:
        """Takes some of the forced tokens, which are computed once and taken in parts."""
        if not self._forced:
            self._forced = self.matcher.compute_ff_tokens()
        part = self._forced[:TOKENS_AT_ONCE]
        if self.plan:
            part = self._up_to_seam(part)
        before = len(self._walked)
        is_forced = self._take(part, whole=False)
        count = len(self._walked) - before
        self._spent -= count - count // FORCED_PER_WORK
        self._forced = self._forced[count:] if is_forced and part == self._forced[:count] else []
        return is_forced

    def _up_to_seam(self, forced: list[int]) -> list[int]:
        """The part before the next place where the plan may be followed again. It has been tried at the beginning."""
        for _, at, offset in seams(self.tokens, forced, self._place):
            if at or offset:
                return forced[:at] + (self.tokens.spell(self.tokens.pieces[forced[at]][:offset]) or [])
        return forced

    def _continuations(self) -> Iterator[tuple[Sequence[int], bool]]:
        """Candidate continuations, each with whether only the whole of it counts."""
        if self._place.is_free:
            yield self._place.reasoning_end, False
        likely = INSIDE if self._place.is_in_string else OUTSIDE
        yield from (([self.tokens.single[byte]], True) for byte in likely if byte in self.tokens.single)
        if self._last >= 0 and self._hinted_positions >= MAX_HINTED_POSITIONS:
            yield [self._last], True
        self._spent += MASK_WORK + self.tokens.size // TOKENS_PER_WORK
        mask = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        if self._place.is_in_string and self._hinted_positions < MAX_HINTED_POSITIONS:
            self._hinted_positions += 1
            yield from ((end, True) for end in self._hints.allowed(mask))
        short = shortest_token(mask, self.tokens)
        self._last = short[0] if short and self._place.is_in_string else -1
        yield short, True

    def _take(self, wanted: Sequence[int], *, whole: bool = True) -> bool:
        """Takes `wanted`, or unless `whole`, as many of them as the grammar allows. Returns whether it took any."""
        count = self.matcher.try_consume_tokens(list(wanted)) if wanted else 0
        self._spent += 1 + count
        if whole and count < len(wanted):
            if count:
                self.matcher.rollback(count)
            return False
        for token in wanted[:count]:
            self._walked.append(token)
            if b'"' in self._place.feed(token):
                self._hinted_positions, self._last = 0, -1
        return count > 0 or (not wanted and whole)


class ValueSearch(ClosingSearch):
    """Searches for the end of an object or array within a longer text, such as the arguments of a call."""

    @property
    def is_at_end(self) -> bool:
        return self._place.has_ended

    @property
    def may_end(self) -> bool:
        return True


def shortest_token(bits: NDArray[np.uint8], tokens: TokenTable) -> list[int]:
    """The shortest token that a mask allows; a control token if it allows no text; empty if the grammar has failed."""
    single = tokens.single_first
    # Nearly always a token of a single byte may follow, which spares a search of the whole vocabulary.
    found: list[int] = single[(bits[single >> 3] >> (single & 7)) & 1 > 0][:1].tolist()
    if found:
        return found
    allowed = np.unpackbits(bits, count=tokens.size, bitorder="little").view(np.bool_)
    places = np.flatnonzero(allowed[tokens.shortest_first])
    found = tokens.shortest_first[places[:1]].tolist()
    return found or [token for token in np.flatnonzero(allowed).tolist() if token not in tokens.ends][:1]
