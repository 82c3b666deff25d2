"""The shortest strings that match several patterns at once, and don't match others."""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from oruel.constraints.completion.automaton import Automaton, State, automaton

# How many states of all automata together are looked at, and how many characters stand for a range.
MAX_VISITED, MAX_MEMBERS = 2_000, 12
# How many steps are kept.
MAX_STEPS = 50_000
# Up to how many characters more than the shortest ones strings may have.
MAX_LONGER = 8
# Of each range, those come first.
LIKELY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-. @!#$%&*+/:,;=?()"
SURROGATES = range(0xD800, 0xE000)

# The states of all automata, and the number of characters, up to the least one.
Place = tuple[tuple[State, ...], int]


class Words:
    """Strings of at least `least` and at most `most` characters that match all of the first `wanted` automata and none
    of the others.
    """

    def __init__(self, automata: Sequence[Automaton], wanted: int, least: int, most: int) -> None:
        self._automata = automata
        self._wanted = wanted
        self._least, self._most = least, most
        self._members = members(automata)
        self._class_of = {code: place for place, codes in enumerate(self._members) for code in codes}
        self._steps: dict[tuple[Place, int], Place] = {}
        self._distances: dict[Place, int] = {}

    def after(self, written: str) -> Iterator[str]:
        """What may follow `written`, short ones first. Ends early if there is too much to look at."""
        place: Place = (tuple(one.begin() for one in self._automata), 0)
        for char in written:
            place = self._step(place, ord(char))
        room = self._most - len(written)
        if room < 0 or not self._measure(place):
            return
        shortest = self._distances[place]
        for length in range(shortest, min(room, shortest + MAX_LONGER) + 1):
            yield from self._of_length(place, length)

    def _step(self, place: Place, code: int) -> Place:
        if code in self._class_of:
            code = self._members[self._class_of[code]][0]
        key = place, code
        if key not in self._steps:
            if len(self._steps) >= MAX_STEPS:
                self._steps.clear()
            states = tuple(one.step(state, code) for one, state in zip(self._automata, place[0], strict=True))
            self._steps[key] = states, min(place[1] + 1, self._least)
        return self._steps[key]

    def _accepts(self, place: Place) -> bool:
        states, length = place
        matched = [one.accepts(state) for one, state in zip(self._automata, states, strict=True)]
        return length >= self._least and all(matched[: self._wanted]) and not any(matched[self._wanted :])

    def _measure(self, start: Place) -> bool:
        """Computes the distances to an end, for all that can be reached. Returns whether there is an end."""
        if start in self._distances:
            return True
        before: dict[Place, list[Place]] = {start: []}
        waiting = deque([start])
        ends = []
        while waiting and len(before) < MAX_VISITED:
            place = waiting.popleft()
            if self._accepts(place):
                ends.append(place)
            for codes in self._members:
                following = self._step(place, codes[0])
                if following not in before:
                    before[following] = []
                    waiting.append(following)
                before[following].append(place)
        self._distances |= dict.fromkeys(ends, 0)
        reached = deque(ends)
        while reached:
            place = reached.popleft()
            for earlier in before[place]:
                if earlier not in self._distances:
                    self._distances[earlier] = self._distances[place] + 1
                    reached.append(earlier)
        return start in self._distances

    def _of_length(self, place: Place, length: int) -> Iterator[str]:
        """All of exactly this length, depth first."""
        if length == 0:
            yield from [""] if self._accepts(place) else []
            return
        text: list[str] = []
        waiting = [self._choices(place, length)]
        while waiting:
            char, following = next(waiting[-1], ("", place))
            if not char:
                waiting.pop()
                del text[-1:]
            elif len(text) + 1 < length:
                text.append(char)
                waiting.append(self._choices(following, length - len(text)))
            elif self._accepts(following):
                yield "".join(text) + char

    def _choices(self, place: Place, length: int) -> Iterator[tuple[str, Place]]:
        """The characters after which an end is at most `length - 1` characters away."""
        for codes in self._members:
            following = self._step(place, codes[0])
            if self._distances.get(following, length) < length:
                yield from ((chr(code), following) for code in codes)


def members(automata: Sequence[Automaton]) -> list[list[int]]:
    """Some characters of each class; those of a class can't be told apart by the automata. Likely classes first."""
    bounds = {0, 32, 127, 0x110000}
    for one in automata:
        for edges in one.edges:
            for ranges, _ in edges:
                bounds |= {low for low, _ in ranges} | {high + 1 for _, high in ranges}
    order = sorted(bounds)
    likely = {ord(char): place for place, char in enumerate(LIKELY)}
    found = []
    for low, after in pairwise(order):
        inside = [code for code in likely if low <= code < after]
        others = (code for code in range(low, min(after, low + 2 * MAX_MEMBERS)) if code not in SURROGATES)
        codes = list(dict.fromkeys([*inside, *others]))[:MAX_MEMBERS]
        if codes:
            found.append(codes)
    return sorted(found, key=lambda codes: likely.get(codes[0], len(likely) + (codes[0] < 32)))


@lru_cache(256)
def words(wanted: tuple[str, ...], unwanted: tuple[str, ...], least: int, most: int) -> Words | None:
    """None if an automaton for one of the patterns isn't known."""
    automata = [automaton(pattern) for pattern in (*wanted, *unwanted)]
    known = [one for one in automata if one is not None]
    return Words(known, len(wanted), least, most) if len(known) == len(automata) else None
