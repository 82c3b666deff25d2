"""Constrains text by a grammar, and completes documents before the budget ends."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.closing.brackets import OpenBrackets
from oruel.constraints.closing.checked_search import CheckedSearch
from oruel.constraints.closing.document_check import DocumentCheck
from oruel.constraints.closing.first_end import FirstEndSearch, first_end_search
from oruel.constraints.closing.hints import hints
from oruel.constraints.closing.plan import ClosingPlan
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.closing.search import ClosingSearch
from oruel.constraints.closing.string_ends import NO_HINTS
from oruel.constraints.spec import GrammarSpec
from oruel.constraints.tokens import TokenTable, refusal_of
from oruel.sampling.constraint import REFUSED, UNDECIDED, WorkBudget

# How many tokens are refused at one position before the known completion is followed.
MAX_REFUSED = 16


class GrammarConstraint:
    """Constrains one sequence of at most `budget` tokens. If its spec must close, a completion of the document that
    fits the budget is known at each token: a token after which none would fit, or that exceeds what parsers can read,
    is replaced by the known completion. A token after which no completion is valid under the checked schema is refused.
    `can_close` is False if the budget is too small for the first completion. `search`, if given, finds the first
    completion; otherwise the constructor searches for it.

    Raises SchemaRefused for a grammar that can't be compiled.
    """

    def __init__(
        self,
        tokens: TokenTable,
        spec: GrammarSpec,
        budget: int,
        *,
        search: FirstEndSearch | None = None,
    ) -> None:
        self._tokens = tokens
        self._left = budget
        self._place = DocumentPosition(tokens, spec.reasoning_end)
        self._bounds = ParserBounds()
        first_end = (search or first_end_search(tokens, spec)) if spec.must_close else None
        spec = first_end.spec if first_end else spec
        self._hints = hints(tokens, spec) if spec.must_close else NO_HINTS
        first = first_end.find() if first_end else None
        self.can_close = first is not None and len(first) <= budget
        self._grammar = spec.grammar
        self._matcher = tokens.matcher(self._grammar)
        self._plan = ClosingPlan(tokens, first or (), self._place)
        self._brackets = OpenBrackets(spec.schemas[0]) if spec.must_close and len(spec.schemas) == 1 else None
        is_checked = spec.checked and self.can_close and first_end and first_end.is_valid
        self._check = DocumentCheck(spec.checked, tokens, self._place) if is_checked else None
        self._search: ClosingSearch | CheckedSearch | None = None
        self._refused: list[int] = []
        # Whether the plan is followed without the matcher.
        self._is_blind = False
        self.is_closing = False

    @property
    def is_complete(self) -> bool:
        if self._is_blind:
            return not len(self._plan)
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def forced(self) -> list[int]:
        if self.is_closing:
            return self._plan.rest
        tokens: list[int] = self._matcher.compute_ff_tokens()
        if self._has_failed():
            return self._plan.rest
        return tokens if not self.can_close or self._follows_plan(tokens) else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._has_failed():
            return self._only(self._plan[0])
        return self._without_refused(bits) if self._refused else bits

    def _only(self, token: int) -> NDArray[np.uint8]:
        bits = np.zeros((self._tokens.size + 7) // 8, np.uint8)
        bits[token >> 3] = 1 << (token & 7)
        return bits

    def allows(self, token: int) -> bool:
        """Whether the token's text may come next. The mask can be narrower: for forced text it has only the usual
        tokens.
        """
        return bool(self._matcher.validate_tokens([token]))

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """The token itself if a completion that fits the budget follows it; otherwise the first token of the known
        completion, which is an end token if the text is complete. REFUSED if the document would become invalid.
        UNDECIDED if `work` doesn't suffice; then callers have to repeat the call before any other.
        """
        if not self.can_close or self._follows_plan([token]):
            return token
        if token in self._tokens.ends:
            return token if not self._check or self._check.is_valid_after(()) else self._refuse(token)
        if not self._is_readable([token]):
            return self._close()
        if self._search is None:
            self._search = self._search_after(token)
        if not self._search.proceed(work or WorkBudget()):
            return UNDECIDED
        search, self._search = self._search, None
        way = [token, *(search.found or ())]
        if search.found is None and isinstance(search, CheckedSearch) and search.is_invalid:
            return self._refuse(token)
        if search.found is None or not self._is_readable(way):
            return self._close()
        if search.seam:
            self._plan.splice(way, self._place, search.seam)
        else:
            self._plan = ClosingPlan(self._tokens, way, self._place)
        return token

    def _search_after(self, token: int) -> ClosingSearch | CheckedSearch:
        search = ClosingSearch(
            self._matcher,
            self._tokens,
            self._place,
            self._left - 1,
            taken=[token],
            plan=self._plan,
            uncertain_from=self._uncertain_from,
            hints=self._hints,
        )
        return CheckedSearch(search, self._check) if self._check else search

    def _refuse(self, token: int) -> int:
        """REFUSED, or after many refused tokens, the first token of the known completion."""
        if token in self._refused or len(self._refused) == MAX_REFUSED:
            return self._plan[0]
        self._refused.append(token)
        return REFUSED

    def _without_refused(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        left = bits.copy()
        for token in self._refused:
            left[token >> 3] &= ~np.uint8(1 << (token & 7))
        return left if left.any() else self._only(self._plan[0])

    def _is_readable(self, way: Sequence[int]) -> bool:
        """Whether common parsers can read the document after these tokens."""
        return self._place.is_free or self._bounds.allow(b"".join(self._tokens.pieces[token] for token in way))

    def _close(self) -> int:
        self.is_closing = True
        return self._plan[0] if len(self._plan) else min(self._tokens.ends)

    def accept(self, token: int) -> None:
        """`token` comes from `enforce_limits` or `forced`, or is an end token. Raises SchemaRefused if it takes too
        much work.
        """
        self._left -= 1
        self._refused.clear()
        if token in self._tokens.ends:
            return
        if not self._has_failed() and not self._matcher.consume_token(token):
            raise refusal_of(self._matcher)
        if self.can_close:
            if self._check:
                self._check.feed(token)
            data = self._place.feed(token)
            self._bounds.feed(data)
            if self._brackets:
                self._brackets.feed(data)
            self.can_close = self._plan.follow([token])

    def _has_failed(self) -> bool:
        """Whether the library has failed, as it does in some states from which only one way leads on. Then the known
        completion is followed. Raises SchemaRefused if there is none.
        """
        if not self._is_blind and self._matcher.is_error():
            if not self.can_close or not len(self._plan):
                raise refusal_of(self._matcher)
            self._tokens.forget(self._grammar)
            self._is_blind = self.is_closing = True
        return self._is_blind

    def _uncertain_from(self, depth: int) -> int | None:
        return self._brackets.uncertain_from(depth) if self._brackets else 1

    def _follows_plan(self, taken: Sequence[int]) -> bool:
        """Whether the known completion starts with `taken`, and still fits the budget."""
        after = self._plan.length_after(taken)
        return after is not None and after <= self._left - len(taken)
