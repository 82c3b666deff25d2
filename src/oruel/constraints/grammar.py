"""Constrains text by a grammar, and completes documents before the budget ends."""

import time
from collections.abc import Sequence
from functools import lru_cache

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.closing_plan import ClosingPlan
from oruel.constraints.closing_search import ClosingSearch
from oruel.constraints.document_position import DocumentPosition
from oruel.constraints.hints import hints
from oruel.constraints.keywords import COUNTS, KNOWN, STRINGS
from oruel.constraints.open_brackets import OpenBrackets
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.schema import BYTES
from oruel.constraints.spec import GrammarSpec, schema_spec
from oruel.constraints.string_ends import NO_HINTS
from oruel.constraints.tokens import TokenTable, panics_refused, refusal_of
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, subschemas
from oruel.sampling.constraint import UNDECIDED, WorkBudget

# More than any budget.
MAX_TOKENS = 2**18
CACHED_SEARCHES = 32
# The work of one piece of a search, some milliseconds, and the pause after it for other threads.
WORK_AT_ONCE, PAUSE_SECONDS = 200, 0.0002


class GrammarConstraint:
    """Constrains one sequence of at most `budget` tokens. If its spec must close, a completion of the document that
    fits the budget is known at each token: a token after which none would fit, or that exceeds what parsers can read,
    is replaced by the known completion. `can_close` is False if the budget is too small for the first completion.
    `search`, if given, finds the first completion; otherwise the constructor searches for it.

    Raises SchemaRefused for a grammar that can't be compiled.
    """

    def __init__(
        self,
        tokens: TokenTable,
        spec: GrammarSpec,
        budget: int,
        *,
        search: "FirstEndSearch | None" = None,
    ) -> None:
        self._tokens = tokens
        self._left = budget
        self._place = DocumentPosition(tokens, spec.reasoning_end)
        self._bounds = ParserBounds()
        self._hints = hints(tokens, spec) if spec.must_close else NO_HINTS
        first = (search or first_end_search(tokens, spec)).find() if spec.must_close else None
        self.can_close = first is not None and len(first) <= budget
        self._matcher = tokens.matcher(spec.grammar)
        self._plan = ClosingPlan(tokens, first or (), self._place)
        self._brackets = OpenBrackets(spec.schemas[0]) if spec.must_close and len(spec.schemas) == 1 else None
        self._search: ClosingSearch | None = None
        self.is_closing = False

    @property
    def is_complete(self) -> bool:
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def forced(self) -> list[int]:
        if self.is_closing:
            return self._plan.rest
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens if not self.can_close or self._follows_plan(tokens) else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise refusal_of(self._matcher)
        return bits

    def allows(self, token: int) -> bool:
        """Whether the token's text may come next. The mask can be narrower: for forced text it has only the usual
        tokens.
        """
        return bool(self._matcher.validate_tokens([token]))

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """The token itself if a completion that fits the budget follows it; otherwise the first token of the known
        completion, which is an end token if the text is complete. UNDECIDED if `work` doesn't suffice; then callers
        have to repeat the call before any other.
        """
        if not self.can_close or token in self._tokens.ends or self._follows_plan([token]):
            return token
        if not self._is_readable([token]):
            return self._close()
        if self._search is None:
            self._search = ClosingSearch(
                self._matcher,
                self._tokens,
                self._place,
                self._left - 1,
                taken=[token],
                plan=self._plan,
                uncertain_from=self._uncertain_from,
                hints=self._hints,
            )
        if not self._search.proceed(work or WorkBudget()):
            return UNDECIDED
        search, self._search = self._search, None
        way = [token, *(search.found or ())]
        if search.found is None or not self._is_readable(way):
            return self._close()
        if search.seam:
            self._plan.splice(way, self._place, search.seam)
        else:
            self._plan = ClosingPlan(self._tokens, way, self._place)
        return token

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
        if token in self._tokens.ends:
            return
        if not self._matcher.consume_token(token):
            raise refusal_of(self._matcher)
        if self.can_close:
            data = self._place.feed(token)
            self._bounds.feed(data)
            if self._brackets:
                self._brackets.feed(data)
            self.can_close = self._plan.follow([token])

    def _uncertain_from(self, depth: int) -> int | None:
        return self._brackets.uncertain_from(depth) if self._brackets else 1

    def _follows_plan(self, taken: Sequence[int]) -> bool:
        """Whether the known completion starts with `taken`, and still fits the budget."""
        after = self._plan.length_after(taken)
        return after is not None and after <= self._left - len(taken)


@panics_refused()
def unclosable_keywords(schema: Schema) -> tuple[str, ...]:
    """Keywords that may prevent a document from being closed within its budget; empty if it can be closed. Takes some
    tenths of a second for an adversarial schema. Raises SchemaRefused for a schema that turns out to be too complex.
    """
    check_weight(rewritten(schema))
    if first_end_search(BYTES, schema_spec(schema)).find() is not None:
        return ()
    present = {keyword for one in subschemas(schema) for keyword in one}
    return tuple(sorted(present & STRINGS or present & COUNTS or present & KNOWN))


class FirstEndSearch:
    """The search for tokens that lead from a grammar's beginning to its end, at most `most` of them. It can be run in
    pieces; what it finds is kept.
    """

    def __init__(self, tokens: TokenTable, spec: GrammarSpec, most: int) -> None:
        self._tokens, self._grammar = tokens, spec.grammar
        matcher = tokens.matcher(spec.grammar)
        search = ClosingSearch(
            matcher, tokens, DocumentPosition(tokens, spec.reasoning_end), most, hints=hints(tokens, spec)
        )
        self._running: tuple[ClosingSearch, llguidance.LLMatcher] | None = search, matcher
        self._found: list[int] | None = None
        self._refused: SchemaRefused | None = None

    def proceed(self) -> bool:
        """Searches for some milliseconds. Returns whether the search has ended."""
        if self._running:
            search, matcher = self._running
            if not search.proceed(WorkBudget(WORK_AT_ONCE)):
                return False
            if matcher.is_error():
                self._tokens.forget(self._grammar)
            self._found = search.found
            self._refused = refusal_of(matcher) if search.is_refused else None
            self._running = None
        return True

    def find(self) -> list[int] | None:
        """The tokens; None if there are none. Raises SchemaRefused for a grammar that the library can't process."""
        while not self.proceed():
            # The matcher releases and takes the interpreter lock too quickly for another thread to wake up in between.
            time.sleep(PAUSE_SECONDS)
        if self._refused:
            raise SchemaRefused(self._refused.message)
        return self._found


@lru_cache(CACHED_SEARCHES)
def first_end_search(tokens: TokenTable, spec: GrammarSpec, most: int = MAX_TOKENS) -> FirstEndSearch:
    """A search that all requests with the same constraint share. Raises SchemaRefused for a grammar that can't be
    compiled.
    """
    return FirstEndSearch(tokens, spec, most)
