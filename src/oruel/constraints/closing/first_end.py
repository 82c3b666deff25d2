"""The shortest documents of grammars, as far as a search finds them, and the keywords that prevent one."""

import json
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache

import llguidance

from oruel.constraints.closing.checked_search import CheckedSearch
from oruel.constraints.closing.document_check import DocumentCheck
from oruel.constraints.closing.hints import hints
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.closing.search import ClosingSearch
from oruel.constraints.completion.checked import checked_keywords, without_checked
from oruel.constraints.completion.completions import DocumentCompletions
from oruel.constraints.completion.validator import is_valid_schema
from oruel.constraints.keywords import COUNTS, KNOWN, STRINGS, unknown_words
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.rewriting.widening import widened
from oruel.constraints.schema import BYTES, LeftOut, left_out_if_checked, some_of
from oruel.constraints.spec import GrammarSpec, schema_spec
from oruel.constraints.tokens import TokenTable, panics_refused, refusal_of
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, subschemas
from oruel.sampling.constraint import WorkBudget

# More than any budget.
MAX_TOKENS = 2**18
# What the grammar library says of schemas that it can't read, although documents may fit them.
LIMITATIONS = re.compile(
    "not disjoint|circular references|stack level|control characters|incompatible types|item is unsatisfiable|"
    "no string fits"
)
CACHED_SEARCHES = 32
# The work of one piece of a search, some milliseconds, and the pause after it for other threads.
WORK_AT_ONCE, PAUSE_SECONDS = 200, 0.0002


def left_out_of_document(schema: Schema) -> LeftOut:
    """What can't be enforced, or may prevent a document from being closed within its budget. Takes some tenths of a
    second for an adversarial schema.

    Raises SchemaRefused for an invalid schema, one that is too costly, and one for which no document is found.
    """
    return left_out_and(schema, unclosable_keywords)


def left_out_of_arguments(schema: Schema) -> LeftOut:
    """What can't be enforced of the arguments of a call, which need not be closed. Otherwise the same."""
    return left_out_and(schema, unkept_keywords)


def left_out_and(schema: Schema, others: Callable[[Schema], Iterable[str]]) -> LeftOut:
    """What can't be enforced, and the keywords that `others` finds."""
    try:
        keywords, words = left_out_if_checked(schema)
    except SchemaRefused as refused:
        return left_out_of_wider(schema, refused)
    return LeftOut(tuple(sorted({*keywords, *unread_keywords(schema), *others(schema)})), words)


def left_out_of_wider(schema: Schema, refused: SchemaRefused) -> LeftOut:
    """What can't be enforced of a schema whose grammar is refused. Raises that for one that no wider grammar helps."""
    if not (LIMITATIONS.search(refused.message) and is_valid_schema(schema) and has_document(schema)):
        raise SchemaRefused(refused.message) from refused
    return LeftOut(words=some_of(unknown_words(schema)))


def has_document(schema: Schema) -> bool:
    """Whether a document is found for a schema that the grammar library refuses."""
    search = first_end_search(BYTES, schema_spec(schema).wider)
    return search.find() is not None and search.is_valid


def unread_keywords(schema: Schema) -> set[str]:
    """Keywords whose values can't be read, so that they can't be checked."""
    checked = schema_spec(schema).checked
    return DocumentCompletions(json.loads(checked)).left_out if checked else set()


@panics_refused()
def unclosable_keywords(schema: Schema) -> tuple[str, ...]:
    """Keywords that may prevent a document from being closed within its budget; empty if it can be closed. Takes some
    tenths of a second for an adversarial schema. Raises SchemaRefused for a schema that turns out to be too complex.
    """
    check_weight(widened(rewritten(schema)))
    search = first_end_search(BYTES, schema_spec(schema))
    if search.find() is None:
        present = {keyword for one in subschemas(schema) for keyword in one}
        return tuple(sorted(present & STRINGS or present & COUNTS or present & KNOWN))
    return () if search.is_valid else tuple(sorted(unchecked_keywords(schema)))


@panics_refused()
def unkept_keywords(schema: Schema) -> set[str]:
    """Keywords that would be checked, if a valid document were found."""
    spec = schema_spec(schema)
    if not spec.checked:
        return set()
    check_weight(widened(rewritten(schema)))
    search = first_end_search(BYTES, spec)
    return set() if search.find() is not None and search.is_valid else unchecked_keywords(schema)


def unchecked_keywords(schema: Schema) -> set[str]:
    """What isn't enforced without the check."""
    found = checked_keywords(schema)
    # Without a pattern, its keys would fall to additionalProperties, which the grammar then leaves out as well.
    closes = "patternProperties" in found and any("additionalProperties" in one for one in subschemas(schema))
    return found | ({"additionalProperties"} if closes else set())


class FirstEndSearch:
    """The search for at most `most` tokens that lead from a grammar's beginning to its end, and make a document valid
    if the spec has a schema to check; if there is none, a document that fits the grammar. It can be run in pieces; what
    it finds is kept. `spec` is the one given, or a wider one if the library refuses its grammar.

    Raises SchemaRefused if the library refuses both.
    """

    def __init__(self, tokens: TokenTable, spec: GrammarSpec, most: int) -> None:
        self.is_valid = True
        self._tokens = tokens
        self.spec, self._matcher = compiled(tokens, spec)
        self._place = DocumentPosition(tokens, spec.reasoning_end)
        self._search = ClosingSearch(self._matcher, tokens, self._place, most, hints=hints(tokens, self.spec))
        self._checked = self._check(self.spec.checked) if self.spec.checked else None
        self._is_last = False
        self._is_running = True
        self._found: list[int] | None = None
        self._refused: SchemaRefused | None = None

    def _check(self, schema: str) -> CheckedSearch:
        return CheckedSearch(self._search, DocumentCheck(schema, self._tokens, self._place))

    def proceed(self) -> bool:
        """Searches for some milliseconds. Returns whether the search has ended."""
        if self._is_running:
            if not (self._checked or self._search).proceed(WorkBudget(WORK_AT_ONCE)):
                return False
            if self._start_last():
                return False
            self._end()
        return True

    def _start_last(self) -> bool:
        """If nothing is found, searches for a document that fits the part of the schema that the grammar holds, since
        the schema says more about it than the grammar. Returns whether it does so.
        """
        checked, whole = self.spec.checked, self.spec.whole
        found = self._search.found or (self._checked and self._checked.found)
        if self._is_last or found is not None or self._search.is_refused or not (checked or whole):
            return False
        self._is_last = True
        self._checked = self._check(json.dumps(without_checked(json.loads(checked))) if checked else whole)
        return True

    def _end(self) -> None:
        if self._matcher.is_error():
            self._tokens.forget(self.spec.grammar)
        found = self._checked.found if self._checked else None
        self.is_valid = not self.spec.checked or (found is not None and not self._is_last)
        self._found = self._search.found if found is None else found
        self._refused = refusal_of(self._matcher) if self._search.is_refused else None
        self._is_running = False

    def find(self) -> list[int] | None:
        """The tokens; None if there are none. Raises SchemaRefused for a grammar that the library can't process."""
        while not self.proceed():
            # The matcher releases and takes the interpreter lock too quickly for another thread to wake up in between.
            time.sleep(PAUSE_SECONDS)
        if self._refused:
            raise SchemaRefused(self._refused.message)
        return self._found


def compiled(tokens: TokenTable, spec: GrammarSpec) -> tuple[GrammarSpec, llguidance.LLMatcher]:
    """The spec, or a wider one if the library refuses its grammar, and a matcher. Raises SchemaRefused."""
    try:
        return spec, tokens.matcher(spec.grammar)
    except SchemaRefused as error:
        if not spec.has_wider or not LIMITATIONS.search(error.message):
            raise
    return spec.wider, tokens.matcher(spec.wider.grammar)


@lru_cache(CACHED_SEARCHES)
def first_end_search(tokens: TokenTable, spec: GrammarSpec, most: int = MAX_TOKENS) -> FirstEndSearch:
    """A search that all requests with the same constraint share. Raises SchemaRefused for a grammar that can't be
    compiled.
    """
    return FirstEndSearch(tokens, spec, most)
