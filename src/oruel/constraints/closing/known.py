"""A known completion of a document, kept up to date at each token."""

from collections.abc import Sequence

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.closing.brackets import OpenBrackets
from oruel.constraints.closing.checked_search import CheckedSearch
from oruel.constraints.closing.document_check import DocumentCheck
from oruel.constraints.closing.plan import ClosingPlan
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.closing.search import ClosingSearch
from oruel.constraints.closing.string_ends import NO_HINTS, StringEnds
from oruel.constraints.refusals import Refusals
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import UNDECIDED, WorkBudget

# Returned in place of a token after which no completion is known.
FOLLOW = -3


class KnownCompletion:
    """`way` completes the document from `place` on, which is also the place of `check`. `search` is the kind of search
    for another way.
    """

    def __init__(
        self,
        matcher: llguidance.LLMatcher,
        tokens: TokenTable,
        place: DocumentPosition,
        way: Sequence[int],
        *,
        written: bytes = b"",
        hints: StringEnds = NO_HINTS,
        brackets: OpenBrackets | None = None,
        check: DocumentCheck | None = None,
        search: type[ClosingSearch] = ClosingSearch,
    ) -> None:
        self.plan = ClosingPlan(tokens, way, place)
        self._place = place
        self._matcher = matcher
        self._tokens = tokens
        self._hints = hints
        self._brackets = brackets
        self._check = check
        self._kind = search
        self._search: ClosingSearch | CheckedSearch | None = None
        self._bounds = ParserBounds()
        self._refusals = Refusals(tokens)
        self._read(written)

    @property
    def has_ended(self) -> bool:
        """Whether the document's last bracket has closed."""
        return self._place.has_ended

    def follows(self, taken: Sequence[int], left: int) -> bool:
        """Whether the completion starts with `taken`, and fits in `left` tokens."""
        after = self.plan.length_after(taken)
        return after is not None and after <= left - len(taken)

    def decide(self, token: int, left: int, work: WorkBudget | None) -> int:
        """The token itself if a completion within `left` tokens follows it; otherwise FOLLOW. REFUSED if the document
        would become invalid. UNDECIDED if `work` doesn't suffice; then callers have to repeat the call before any
        other.
        """
        if self.follows([token], left):
            return token
        if token in self._tokens.ends:
            return token if not self._check or self._check.is_valid_after(()) else self.refuse(token)
        if not self._is_readable([token]):
            return FOLLOW
        if self._search is None:
            self._search = self._search_after(token, left)
        if not self._search.proceed(work or WorkBudget()):
            return UNDECIDED
        search, self._search = self._search, None
        way = [token, *(search.found or ())]
        if search.found is None and isinstance(search, CheckedSearch) and search.is_invalid:
            return self.refuse(token)
        if search.found is None or not self._is_readable(way):
            return FOLLOW
        if search.seam:
            self.plan.splice(way, self._place, search.seam)
        else:
            self.plan = ClosingPlan(self._tokens, way, self._place)
        return token

    def refuse(self, token: int) -> int:
        """REFUSED, or after many refused tokens, the first token of the completion."""
        return self._refusals.refuse(token, self.next_token)

    @property
    def next_token(self) -> int:
        """The first token of the completion; an end token if the document is complete."""
        return self.plan[0] if len(self.plan) else min(self._tokens.ends)

    def without_refused(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask without the tokens that were refused at this position."""
        return self._refusals.mask(bits)

    def accept(self, token: int) -> bool:
        """Makes `token` part of the document. Returns whether a completion is still known."""
        self._refusals.clear()
        if self._check:
            self._check.feed(token)
        data = self._place.feed(token)
        if not self.has_ended:
            self._read(data)
        return self.plan.follow([token])

    def _read(self, data: bytes) -> None:
        self._bounds.feed(data)
        if self._brackets:
            self._brackets.feed(data)

    def _search_after(self, token: int, left: int) -> ClosingSearch | CheckedSearch:
        search = self._kind(
            self._matcher,
            self._tokens,
            self._place,
            left - 1,
            taken=[token],
            plan=self.plan,
            uncertain_from=self._uncertain_from,
            hints=self._hints,
        )
        return CheckedSearch(search, self._check) if self._check else search

    def _is_readable(self, way: Sequence[int]) -> bool:
        """Whether common parsers can read the document after these tokens."""
        return self._place.is_free or self._bounds.allow(b"".join(self._tokens.pieces[token] for token in way))

    def _uncertain_from(self, depth: int) -> int | None:
        return self._brackets.uncertain_from(depth) if self._brackets else 1
