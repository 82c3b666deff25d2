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
from oruel.constraints.completion.validator import Validator
from oruel.constraints.completion.values import in_turn

# How many documents are judged for one opening, and how many without getting nearer to a first one.
MAX_JUDGED, MAX_IN_VAIN = 400, 120
# How many candidates are looked at for each that is judged; the others were judged before.
MAX_REPEATED = 4
# How many of a document's errors are looked at, and how many changes are tried for each.
MAX_ERRORS, MAX_CHANGES = 64, 40
# Every so many steps, a first candidate is taken instead of a changed one.
FIRST_EVERY = 3
# What an error, a change without effect, and each further change of the same document cost, in bytes of text.
ERROR, VAIN, AGAIN = 100, 30, 5


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

    def __init__(self, opening: Opening, firsts: Iterator[Candidate], repair: Repair, validator: Validator) -> None:
        self._opening = opening
        self._firsts = firsts
        self._repair = repair
        self._validator = validator
        self._waiting: list[Judged] = []
        self._seen: set[bytes] = set()

    def __iter__(self) -> Iterator[Candidate | None]:
        best, last_better, is_found = float("inf"), 0, False
        for step in range(MAX_REPEATED * MAX_JUDGED):
            following = self._next(step)
            if following is None:
                return
            candidate, parent = following
            text = candidate.text()
            if text in self._seen:
                yield None
                continue
            self._seen.add(text)
            of_this = self._judge(candidate, parent, len(text))
            if of_this < best:
                best, last_better = of_this, len(self._seen)
            is_found = is_found or of_this == 0
            yield candidate if of_this == 0 else None
            if len(self._seen) >= MAX_JUDGED or (not is_found and len(self._seen) > last_better + MAX_IN_VAIN):
                return

    def _judge(self, candidate: Candidate, parent: Judged | None, length: int) -> float:
        """Returns its cost, 0 for a valid document, and puts its changes with the others."""
        try:
            errors = list(islice(self._validator.errors(candidate.root), MAX_ERRORS))
        except ValueError:
            return float("inf")
        of_this = cost(errors)
        vain = parent.vain + 1 if parent and parent.cost <= of_this else 0
        changes = self._repairs(candidate, errors) if errors else self._variations(candidate)
        rank = ERROR * of_this + VAIN * vain + length
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
        return in_turn([islice(self._repair.changes(candidate, place), MAX_CHANGES) for place in places])


def cost(errors: list[ValidationError]) -> float:
    """The number of errors; of alternatives, half of the errors of the best one count as well."""
    return sum(1 + min(map(cost, branches_of(error)), default=0) / 2 for error in errors)


def branches_of(error: ValidationError) -> list[list[ValidationError]]:
    branches: Any = getattr(error.kind, "context", [])
    return list(branches) if all(branches) else []
