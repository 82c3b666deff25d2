"""The arguments of a function's calls, of which some keywords are checked as they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import llguidance
import numpy as np
from numpy.typing import NDArray

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


class Arguments(Protocol):
    """The arguments of one function."""

    def begin(self, matcher: llguidance.LLMatcher, written: bytes) -> "ArgumentsBeginning":
        """`written`: what the matcher has consumed of them."""
        ...


class ArgumentsBeginning(Protocol):
    """Decides whether valid arguments begin with what is written."""

    def proceed(self, work: WorkBudget) -> bool:
        """Returns whether that is decided."""
        ...

    @property
    def can_go_on(self) -> bool: ...

    def started(self) -> "KeptValue | None":
        """Decides at once. None if the arguments are complete. Raises SchemaRefused if they can't be completed."""
        ...


class KeptValue(Protocol):
    """Arguments that are being written, with the methods of a KnownCompletion."""

    @property
    def has_ended(self) -> bool: ...

    def follows(self, taken: Sequence[int], left: int) -> bool: ...

    def decide(self, token: int, left: int, work: WorkBudget | None) -> int: ...

    def refuse(self, token: int) -> int: ...

    def without_refused(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]: ...

    def accept(self, token: int) -> bool: ...


@dataclass(frozen=True)
class CheckedArguments:
    """`first`: the first valid arguments that were found, as JSON text."""

    tokens: TokenTable
    spec: SchemaSpec
    first: bytes

    def begin(self, matcher: llguidance.LLMatcher, written: bytes) -> "CheckedBeginning":
        return CheckedBeginning(self, matcher, written)


def checked_arguments(tokens: TokenTable, spec: SchemaSpec, search: FirstEndSearch) -> CheckedArguments | None:
    """The arguments for which `search` was made; None if it found no valid ones. Raises SchemaRefused."""
    found = search.find()
    if found is None or not search.is_valid:
        return None
    return CheckedArguments(tokens, spec, b"".join(tokens.pieces[token] for token in found))


class CheckedBeginning:
    """The search for the first completion of some arguments."""

    def __init__(self, arguments: CheckedArguments, matcher: llguidance.LLMatcher, written: bytes) -> None:
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
        if self._way is None and not self._search.proceed(work):
            return False
        self._way = self._search.found if self._way is None else self._way
        return True

    @property
    def can_go_on(self) -> bool:
        return self._way is not None

    def started(self) -> KnownCompletion | None:
        while not self.proceed(WorkBudget()):
            pass
        if self._way is None:
            raise SchemaRefused("no valid arguments begin with what was written of a call")
        if self._place.has_ended:
            return None
        return KnownCompletion(
            self._matcher,
            self._arguments.tokens,
            self._place,
            self._way,
            written=self._written,
            hints=self._hints,
            brackets=OpenBrackets(self._arguments.spec.schemas[0]),
            check=self._check,
            search=ValueSearch,
        )
