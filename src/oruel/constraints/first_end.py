"""The shortest documents of grammars, as far as a search finds them, and the keywords that prevent one."""

import time
from functools import lru_cache

import llguidance

from oruel.constraints.checked_search import CheckedSearch
from oruel.constraints.closing_search import ClosingSearch
from oruel.constraints.completion.checked import checked_keywords
from oruel.constraints.document_check import DocumentCheck
from oruel.constraints.document_position import DocumentPosition
from oruel.constraints.hints import hints
from oruel.constraints.keywords import COUNTS, KNOWN, STRINGS
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.schema import BYTES
from oruel.constraints.spec import GrammarSpec, schema_spec
from oruel.constraints.tokens import TokenTable, panics_refused, refusal_of
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, subschemas
from oruel.sampling.constraint import WorkBudget

# More than any budget.
MAX_TOKENS = 2**18
CACHED_SEARCHES = 32
# The work of one piece of a search, some milliseconds, and the pause after it for other threads.
WORK_AT_ONCE, PAUSE_SECONDS = 200, 0.0002


@panics_refused()
def unclosable_keywords(schema: Schema) -> tuple[str, ...]:
    """Keywords that may prevent a document from being closed within its budget; empty if it can be closed. Takes some
    tenths of a second for an adversarial schema. Raises SchemaRefused for a schema that turns out to be too complex.
    """
    check_weight(rewritten(schema))
    search = first_end_search(BYTES, schema_spec(schema))
    if search.find() is None:
        present = {keyword for one in subschemas(schema) for keyword in one}
        return tuple(sorted(present & STRINGS or present & COUNTS or present & KNOWN))
    return () if search.is_valid else tuple(sorted(checked_keywords(schema)))


class FirstEndSearch:
    """The search for at most `most` tokens that lead from a grammar's beginning to its end, and make a document valid
    if the spec has a schema to check; if there is none, a document that fits the grammar. It can be run in pieces; what
    it finds is kept.
    """

    def __init__(self, tokens: TokenTable, spec: GrammarSpec, most: int) -> None:
        self.is_valid = True
        self._tokens, self._grammar = tokens, spec.grammar
        matcher, place = tokens.matcher(spec.grammar), DocumentPosition(tokens, spec.reasoning_end)
        search = ClosingSearch(matcher, tokens, place, most, hints=hints(tokens, spec))
        check = DocumentCheck(spec.checked, tokens, place) if spec.checked else None
        checked = CheckedSearch(search, check, matcher, tokens, place, most) if check else None
        self._running: tuple[ClosingSearch, CheckedSearch | None, llguidance.LLMatcher] | None = (
            search,
            checked,
            matcher,
        )
        self._found: list[int] | None = None
        self._refused: SchemaRefused | None = None

    def proceed(self) -> bool:
        """Searches for some milliseconds. Returns whether the search has ended."""
        if self._running:
            search, checked, matcher = self._running
            if not (checked or search).proceed(WorkBudget(WORK_AT_ONCE)):
                return False
            if matcher.is_error():
                self._tokens.forget(self._grammar)
            self.is_valid = checked is None or checked.found is not None
            self._found = checked.found if checked and self.is_valid else search.found
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
