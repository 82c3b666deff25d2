"""Searches for tokens that complete a document and make it valid under its whole schema."""

from collections.abc import Generator

from oruel.constraints.closing.document_check import DocumentCheck
from oruel.constraints.closing.plan import Seam
from oruel.constraints.closing.search import ClosingSearch
from oruel.sampling.constraint import WorkBudget

# How many steps the search for completions takes in the middle of a document and at its beginning, and how many
# completions are offered to the grammar. Counted, since the same request has to have the same answer on every machine.
MAX_STEPS, MAX_FIRST_STEPS = 60, 2_000
MAX_OFFERED = 60
# In units of a WorkBudget: a validation, and a step of the search for completions.
VALIDATION_WORK, SEARCH_WORK = 50, 400


class CheckedSearch:
    """Takes what `search` finds if that makes the document valid; otherwise the first completion that the grammar
    accepts. `found` and `seam` are as there. `is_invalid` is set if only valid documents are missing.
    """

    def __init__(self, search: ClosingSearch, check: DocumentCheck) -> None:
        self.found: list[int] | None = None
        self.seam: Seam | None = None
        self.is_invalid = False
        self._search = search
        self._has_searched = False
        self._check = check
        self._spent = 0
        self._pieces = self._run()

    def proceed(self, work: WorkBudget) -> bool:
        """Returns whether the search has ended."""
        if not self._has_searched:
            if not self._search.proceed(work):
                return False
            self._has_searched = True
        while True:
            before = self._spent
            if next(self._pieces, None) is None:
                return True
            work.left -= max(1, self._spent - before)
            if work.left <= 0:
                return False

    def _run(self) -> Generator[bool, None, None]:
        if self._search.found is not None:
            self._spent += VALIDATION_WORK
            if self._check.is_valid_after([*self._search.taken, *self._search.found, *self._rest()]):
                self.found, self.seam = self._search.found, self._search.seam
                return
            self.is_invalid = True
        yield True
        yield from self._offer_completions()

    def _rest(self) -> list[int]:
        plan, seam = self._search.plan, self._search.seam
        return plan.after(seam) if plan and seam else []

    def _offer_completions(self) -> Generator[bool, None, None]:
        taken = self._search.taken
        place = self._search.place.copy()
        for token in taken:
            place.feed(token)
        before = place.reasoning_end if place.is_free else ()
        offered = steps = 0
        for text in self._check.completions_after(taken):
            if text is None:
                self._spent += SEARCH_WORK
                steps += 1
                if steps > (MAX_STEPS if taken else MAX_FIRST_STEPS):
                    return
                yield True
                continue
            offered += 1
            written = self._search.tokens.write(text)
            if written is not None and (yield from self._accept([*before, *written])):
                return
            if offered == MAX_OFFERED:
                return

    def _accept(self, way: list[int]) -> Generator[bool, None, bool]:
        """Whether the grammar ends after `taken` and `way`, and what it forces after the document."""
        search = self._search
        if len(way) > search.most:
            return False
        offered = [*search.taken, *way]
        count = yield from search.consume(offered)
        self._spent += 1 + count
        forced = self._forced() if count == len(offered) else []
        has_arrived = count == len(offered) and search.may_end and len(way) + len(forced) <= search.most
        search.matcher.rollback(count + len(forced))
        if has_arrived:
            self.found = [*way, *forced]
        return has_arrived

    def _forced(self) -> list[int]:
        """Takes the tokens that the grammar forces after a document."""
        if self._search.may_end:
            return []
        forced: list[int] = self._search.matcher.compute_ff_tokens()
        return forced[: self._search.matcher.try_consume_tokens(forced)]
