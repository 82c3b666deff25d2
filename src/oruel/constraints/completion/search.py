"""A best-first search for candidates that the validator accepts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError

from oruel.constraints.completion.candidate import Candidate
from oruel.constraints.completion.opening import Next, Opening
from oruel.constraints.completion.repair import Repair
from oruel.constraints.completion.turns import in_turn
from oruel.constraints.completion.validator import Validator

# How many documents are judged for one opening, and how many without getting nearer to a first one.
MAX_JUDGED, MAX_IN_VAIN = 400, 120
# How many bytes they have together.
MAX_BYTES = 1_000_000
# As many bytes as an error costs as much time to list.
ERROR_BYTES = 50
# How many candidates are looked at for each that is judged; the others were judged before.
MAX_REPEATED = 4
# How many of a document's errors are looked at, and how many changes are tried for each.
MAX_ERRORS, MAX_CHANGES = 64, 40
# Every so many steps, a first candidate is taken instead of a changed one.
FIRST_EVERY = 4
# What an error, a change without effect, each further change of the same document, and each further first candidate
# cost, in bytes of text.
ERROR, VAIN, AGAIN, FIRST = 100, 30, 5, 10


@dataclass(order=True)
class Judged:
    """A candidate's changes that weren't tried. Few errors, few changes in vain and a short text go first."""

    rank: float
    number: int
    cost: float = field(compare=False)
    vain: int = field(compare=False)
    """How many changes in a row have led here without an effect on the cost."""
    changes: Iterator[Candidate] = field(compare=False)


class Search:
    """Iterates over valid candidates. None after each candidate that isn't."""

    def __init__(
        self, opening: Opening, size: int, firsts: Iterator[Candidate], repair: Repair, validator: Validator
    ) -> None:
        """`size`: of the opening, in bytes."""
        self._opening = opening
        self._size = size
        self._firsts = firsts
        self._repair = repair
        self._validator = validator
        self._waiting: list[Judged] = []
        self._seen: set[bytes] = set()
        self._bytes = self._firsts_judged = 0
        self._best = float("inf")
        self._last_better = 0

    def __iter__(self) -> Iterator[Candidate | None]:
        for step in range(MAX_REPEATED * MAX_JUDGED):
            following = None if self._is_exhausted else self._next(step)
            if following is None:
                return
            candidate, parent = following
            text = candidate.text()
            if text in self._seen:
                yield None
                continue
            self._seen.add(text)
            self._bytes += self._size + len(text)
            of_this = self._judge(candidate, parent, len(text))
            if of_this < self._best:
                self._best, self._last_better = of_this, len(self._seen)
            yield candidate if of_this == 0 else None

    @property
    def _is_exhausted(self) -> bool:
        is_in_vain = self._best > 0 and len(self._seen) > self._last_better + MAX_IN_VAIN
        return is_in_vain or len(self._seen) >= MAX_JUDGED or self._bytes > MAX_BYTES

    def _judge(self, candidate: Candidate, parent: Judged | None, length: int) -> float:
        """Returns its cost, 0 for a valid document, and puts its changes with the others."""
        try:
            errors = list(islice(self._validator.errors(candidate.root), MAX_ERRORS))
        except ValueError:
            return float("inf")
        of_this = cost(errors)
        self._bytes += ERROR_BYTES * sum(map(count_errors, errors))
        vain = parent.vain + 1 if parent and parent.cost <= of_this else 0
        changes = self._repairs(candidate, errors) if errors else self._variations(candidate)
        self._firsts_judged += parent is None
        rank = ERROR * of_this + (VAIN * vain if parent else FIRST * self._firsts_judged) + length
        heappush(self._waiting, Judged(rank, len(self._seen), of_this, vain, changes))
        return of_this

    def _next(self, step: int) -> tuple[Candidate, Judged | None] | None:
        """The next candidate to judge: a first one, or a change of the best; with that one."""
        if step % FIRST_EVERY == 0 or not self._waiting:
            first = next(self._firsts, None)
            if first is not None:
                return first, None
        while self._waiting:
            best = heappop(self._waiting)
            changed = next(best.changes, None)
            if changed is not None:
                best.rank += AGAIN
                heappush(self._waiting, best)
                return changed, best
        first = next(self._firsts, None)
        return (first, None) if first is not None else None

    def _repairs(self, candidate: Candidate, errors: list[ValidationError]) -> Iterator[Candidate]:
        if len(errors) > 1:
            yield self._repair.all_at_once(candidate, errors)
        for error in errors:
            yield from islice(self._repair.fixes(candidate, error), MAX_CHANGES)

    def _variations(self, candidate: Candidate) -> Iterator[Candidate]:
        """Other values in all places that are open, in turn."""
        places = [self._opening.place] if self._opening.next is Next.VALUE else []
        places += [frame.path for frame in reversed(self._opening.frames)]
        return in_turn([islice(self._repair.change.any_at(candidate, place), MAX_CHANGES) for place in places])


def cost(errors: list[ValidationError]) -> float:
    """The number of errors; of alternatives, half of the errors of the best one count as well."""
    return sum(1 + min(map(cost, branches_of(error)), default=0) / 2 for error in errors)


def branches_of(error: ValidationError) -> list[list[ValidationError]]:
    branches: Any = getattr(error.kind, "context", [])
    return list(branches) if all(branches) else []


def count_errors(error: ValidationError) -> int:
    """With those of all its alternatives."""
    branches: Any = getattr(error.kind, "context", [])
    return 1 + sum(count_errors(one) for branch in branches for one in branch)
