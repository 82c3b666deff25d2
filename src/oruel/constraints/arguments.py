"""The arguments of a function's calls, of which some keywords are checked as they are written."""

from dataclasses import dataclass

import llguidance

from oruel.constraints.closing.brackets import OpenBrackets
from oruel.constraints.closing.checked_search import CheckedSearch
from oruel.constraints.closing.document_check import DocumentCheck
from oruel.constraints.closing.first_end import MAX_TOKENS, FirstEndSearch
from oruel.constraints.closing.hints import hints
from oruel.constraints.closing.known import KnownCompletion
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.closing.search import ValueSearch
from oruel.constraints.spec import SchemaSpec
from oruel.constraints.tokens import TokenTable
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import WorkBudget


@dataclass(frozen=True)
class Arguments:
    """`first`: the first valid arguments that were found, as JSON text."""

    tokens: TokenTable
    spec: SchemaSpec
    first: bytes

    def begin(self, matcher: llguidance.LLMatcher, written: bytes) -> "ArgumentsBeginning":
        """`written`: what the matcher has consumed of them."""
        return ArgumentsBeginning(self, matcher, written)


def arguments_found(tokens: TokenTable, spec: SchemaSpec, search: FirstEndSearch) -> Arguments | None:
    """The arguments for which `search` was made; None if it found no valid ones. Raises SchemaRefused."""
    found = search.find()
    if found is None or not search.is_valid:
        return None
    return Arguments(tokens, spec, b"".join(tokens.pieces[token] for token in found))


class ArgumentsBeginning:
    """The search for the first completion of some arguments. `place`: their position."""

    def __init__(self, arguments: Arguments, matcher: llguidance.LLMatcher, written: bytes) -> None:
        tokens, spec = arguments.tokens, arguments.spec
        self._arguments = arguments
        self._matcher = matcher
        self._written = written
        self._place = DocumentPosition(tokens)
        for byte in written:
            self._place.feed_byte(byte)
        self._check = DocumentCheck(spec.checked, tokens, self._place, written)
        self._hints = hints(tokens, spec)
        self._search = CheckedSearch(
            ValueSearch(matcher, tokens, self._place, MAX_TOKENS, hints=self._hints), self._check
        )
        self._way = self._first_way()

    def _first_way(self) -> list[int] | None:
        """The tokens of the first arguments, if what is written begins like them."""
        first = self._arguments.first
        way = self._arguments.tokens.write(first[len(self._written) :]) if first.startswith(self._written) else None
        count = self._matcher.try_consume_tokens(way) if way else 0
        if count:
            self._matcher.rollback(count)
        return way if way and count == len(way) else None

    def proceed(self, work: WorkBudget) -> bool:
        """Returns whether the search has ended."""
        if self._way is None and not self._search.proceed(work):
            return False
        self._way = self._search.found if self._way is None else self._way
        return True

    @property
    def can_go_on(self) -> bool:
        return self._way is not None

    def completion(self) -> KnownCompletion | None:
        """None if the arguments are complete. Raises SchemaRefused if they can't be completed."""
        while not self.proceed(WorkBudget()):
            pass
        if self._way is None:
            raise SchemaRefused("no valid arguments begin with what was written of a call")
        if self._place.has_ended:
            return None
        spec = self._arguments.spec
        return KnownCompletion(
            self._matcher,
            self._arguments.tokens,
            self._place,
            self._way,
            written=self._written,
            hints=self._hints,
            brackets=OpenBrackets(spec.schemas[0]),
            check=self._check,
            search=ValueSearch,
        )


def is_in_json(matcher: llguidance.LLMatcher, tokens: TokenTable) -> bool:
    """Whether the matcher is in a document and not in free text, which unlike JSON may go on with a new line."""
    return ord("\n") not in tokens.single or not matcher.validate_tokens([tokens.single[ord("\n")]])
