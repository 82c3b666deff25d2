"""Constrains text by a grammar, and completes documents before the budget ends."""

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.closing.brackets import OpenBrackets
from oruel.constraints.closing.document_check import DocumentCheck
from oruel.constraints.closing.first_end import FirstEndSearch, first_end_search
from oruel.constraints.closing.hints import hints
from oruel.constraints.closing.known import FOLLOW, KnownCompletion
from oruel.constraints.closing.plan import ClosingPlan
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.spec import GrammarSpec
from oruel.constraints.tokens import TokenTable, refusal_of
from oruel.sampling.constraint import WorkBudget


class GrammarConstraint:
    """Constrains one sequence of at most `budget` tokens. If its spec must close, a completion of the document that
    fits the budget is known at each token: a token after which none would fit, or that exceeds what parsers can read,
    is replaced by the known completion. A token after which no completion is valid under the checked schema is refused.
    `search`, if given, finds the first completion; otherwise the constructor searches for it.

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
        first_end = (search or first_end_search(tokens, spec)) if spec.must_close else None
        spec = first_end.spec if first_end else spec
        self._grammar = spec.grammar
        self.matcher = tokens.matcher(self._grammar)
        self._known = self._first_completion(spec, first_end) if first_end else None
        # Whether the known completion is followed without the matcher.
        self._is_blind = False
        self.is_closing = False

    def _first_completion(self, spec: GrammarSpec, first_end: FirstEndSearch) -> KnownCompletion | None:
        first = first_end.find()
        if first is None or len(first) > self._left:
            return None
        place = DocumentPosition(self._tokens, spec.reasoning_end)
        return KnownCompletion(
            self.matcher,
            self._tokens,
            place,
            first,
            hints=hints(self._tokens, spec),
            brackets=OpenBrackets(spec.schemas[0]) if len(spec.schemas) == 1 else None,
            check=DocumentCheck(spec.checked, self._tokens, place) if spec.checked and first_end.is_valid else None,
        )

    @property
    def can_close(self) -> bool:
        """Whether a completion is known; not if the budget is too small for the first one."""
        return self._known is not None

    @property
    def is_complete(self) -> bool:
        if self._is_blind:
            return not len(self._plan)
        return self.matcher.is_stopped() and not self.matcher.is_error()

    @property
    def forced(self) -> list[int]:
        if self.is_closing:
            return self._plan.rest
        tokens: list[int] = self.matcher.compute_ff_tokens()
        if self._has_failed():
            return self._plan.rest
        return tokens if not self._known or self._known.follows(tokens, self._left) else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next."""
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        if self._has_failed():
            return self._tokens.only(self._plan[0])
        return self._known.without_refused(bits) if self._known else bits

    def allows(self, token: int) -> bool:
        """Whether the token's text may come next. The mask can be narrower: for forced text it has only the usual
        tokens.
        """
        return bool(self.matcher.validate_tokens([token]))

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """The token itself if a completion that fits the budget follows it; otherwise the first token of the known
        completion, which is an end token if the text is complete. REFUSED if the document would become invalid.
        UNDECIDED if `work` doesn't suffice; then callers have to repeat the call before any other.
        """
        decided = self._known.decide(token, self._left, work) if self._known else token
        if self._known and decided == FOLLOW:
            self.is_closing = True
            return self._known.next_token
        return decided

    def accept(self, token: int) -> None:
        """`token` comes from `enforce_limits` or `forced`, or is an end token. Raises SchemaRefused if it takes too
        much work.
        """
        self._left -= 1
        if token in self._tokens.ends:
            return
        if not self._has_failed() and not self.matcher.consume_token(token):
            raise refusal_of(self.matcher)
        if self._known and not self._known.accept(token):
            self._known = None

    def _has_failed(self) -> bool:
        """Whether the library has failed, as it does in some states from which only one way leads on. Then the known
        completion is followed. Raises SchemaRefused if there is none.
        """
        if not self._is_blind and self.matcher.is_error():
            if not self._known or not len(self._plan):
                raise refusal_of(self.matcher)
            self._tokens.forget(self._grammar)
            self._is_blind = self.is_closing = True
        return self._is_blind

    @property
    def _plan(self) -> ClosingPlan:
        assert self._known
        return self._known.plan
