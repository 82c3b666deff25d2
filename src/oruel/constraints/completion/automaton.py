"""Patterns as automata, for the part of the syntax that most schemas use: no backward references, no lookarounds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

# Code points; both ends belong to a range.
Ranges = tuple[tuple[int, int], ...]
State = frozenset[int]

MAX_STATES = 3_000
MAX_CODE = 0x10FFFF
DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = ((9, 13), (32, 32), (160, 160), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F))
SPACE += ((0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF))
NEWLINES: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE}
CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}
COUNT = re.compile(r"\{(\d+)(,(\d*))?\}")
GROUP = re.compile(r"\((\?:|\?P?<[A-Za-z_]\w*>|(?!\?))")
CODE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\})")


class Unsupported(Exception):
    """A pattern that has no automaton here."""


def outside(ranges: Ranges) -> Ranges:
    """All other code points."""
    found, low = [], 0
    for first, last in sorted(ranges):
        if first > low:
            found.append((low, first - 1))
        low = max(low, last + 1)
    return (*found, (low, MAX_CODE)) if low <= MAX_CODE else tuple(found)


@dataclass
class Automaton:
    """`edges`: for each state, ranges and the state after them. `empty`: the states that follow without a character.
    `at_start` and `at_end`: those that follow only there. The last state accepts.
    """

    start: int = 0
    accept: int = 0
    edges: list[list[tuple[Ranges, int]]] = field(default_factory=list)
    empty: list[list[int]] = field(default_factory=list)
    at_start: list[list[int]] = field(default_factory=list)
    at_end: list[list[int]] = field(default_factory=list)
    known: dict[int, State] = field(default_factory=dict)

    def add(self) -> int:
        if len(self.edges) >= MAX_STATES:
            raise Unsupported
        for table in (self.edges, self.empty, self.at_start, self.at_end):
            table.append([])
        return len(self.edges) - 1

    def begin(self) -> State:
        return self._closed([self.start], self.at_start)

    def step(self, state: State, code: int) -> State:
        """A match may also start after each character; one that was found stays found."""
        if self.accept in state:
            return frozenset([self.accept])
        found = set(self._after(self.start))
        for one in state:
            for ranges, target in self.edges[one]:
                if any(low <= code <= high for low, high in ranges):
                    found |= self._after(target)
        return frozenset(found)

    def accepts(self, state: State) -> bool:
        """Whether the text may end here."""
        return self.accept in state or self.accept in self._closed(state, self.at_end)

    def _after(self, state: int) -> State:
        """The states that follow without a character, in the middle of a text."""
        if state not in self.known:
            self.known[state] = self._closed([state])
        return self.known[state]

    def _closed(self, states: Iterable[int], also: list[list[int]] | None = None) -> State:
        found = set(states)
        waiting = list(found)
        while waiting:
            one = waiting.pop()
            for target in [*self.empty[one], *(also[one] if also else ())]:
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        # Only those matter that lead on.
        return frozenset(one for one in found if self.edges[one] or self.at_end[one] or one == self.accept)


@lru_cache(1024)
def automaton(pattern: str) -> Automaton | None:
    """None for a pattern that isn't supported."""
    try:
        return _Compiler(pattern).compile()
    except (Unsupported, RecursionError):
        return None


class _Compiler:
    """Recursive descent; each part is built between two states."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._built = Automaton()

    def compile(self) -> Automaton:
        self._built.start = self._built.add()
        self._built.accept = self._alternatives(self._built.start)
        if self._place < len(self._pattern):
            raise Unsupported
        return self._built

    @property
    def _next(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _alternatives(self, start: int) -> int:
        end = self._built.add()
        while True:
            first = self._built.add()
            self._built.empty[start].append(first)
            self._built.empty[self._sequence(first)].append(end)
            if self._next != "|":
                return end
            self._place += 1

    def _sequence(self, start: int) -> int:
        while self._next and self._next not in "|)":
            start = self._repeated(start)
        return start

    def _repeated(self, start: int) -> int:
        """An atom with its count, which is read first; then the atom is built as often."""
        place = self._place
        self._skip_atom()
        after = self._place
        least, most = self._count()
        past = self._place
        current = start
        for _ in range(least):
            current = self._copy(current, place, after)
        if most is None:
            current = self._loop(current, place, after)
        elif most > least:
            end = self._built.add()
            for _ in range(most - least):
                self._built.empty[current].append(end)
                current = self._copy(current, place, after)
            self._built.empty[current].append(end)
            current = end
        self._place = past
        return current

    def _loop(self, start: int, place: int, after: int) -> int:
        inner = self._built.add()
        self._built.empty[start].append(inner)
        self._built.empty[self._copy(inner, place, after)].append(inner)
        end = self._built.add()
        self._built.empty[inner].append(end)
        return end

    def _skip_atom(self) -> None:
        outer, self._built = self._built, Automaton()
        try:
            self._atom(self._built.add())
        finally:
            self._built = outer

    def _copy(self, start: int, place: int, after: int) -> int:
        self._place = place
        end = self._atom(start)
        assert self._place == after
        return end

    def _count(self) -> tuple[int, int | None]:
        sign = self._next
        counted = COUNT.match(self._pattern, self._place)
        if sign and sign in "*+?":
            self._place += 1
            found: tuple[int, int | None] = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif counted:
            self._place = counted.end()
            least = int(counted[1])
            found = least, (least if not counted[2] else int(counted[3]) if counted[3] else None)
            if max(least, found[1] or 0) > MAX_STATES:
                raise Unsupported
        else:
            return 1, 1
        if self._next == "?":
            self._place += 1
        elif self._next == "+":
            raise Unsupported
        return found

    def _atom(self, start: int) -> int:
        char = self._next
        if char == "(":
            return self._group(start)
        if char in "^$":
            self._place += 1
            end = self._built.add()
            (self._built.at_start if char == "^" else self._built.at_end)[start].append(end)
            return end
        if char in "*+?":
            raise Unsupported
        end = self._built.add()
        self._built.edges[start].append((self._characters(), end))
        return end

    def _group(self, start: int) -> int:
        opened = GROUP.match(self._pattern, self._place)
        if not opened:
            raise Unsupported
        self._place = opened.end()
        end = self._alternatives(start)
        if self._next != ")":
            raise Unsupported
        self._place += 1
        return end

    def _characters(self) -> Ranges:
        char = self._next
        if char == "\\":
            return self._escaped()
        self._place += 1
        if char == "[":
            return self._class()
        return outside(NEWLINES) if char == "." else ((ord(char), ord(char)),)

    def _class(self) -> Ranges:
        is_negated = self._next == "^"
        self._place += is_negated
        found: list[tuple[int, int]] = []
        while self._next != "]":
            low = self._one_of_class()
            if self._next == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("]", ""):
                self._place += 1
                high = self._one_of_class()
                low = ((low[0][0], high[0][1]),) if len(low) == len(high) == 1 else (*low, *high, (45, 45))
            found += low
        self._place += 1
        return outside(tuple(found)) if is_negated else tuple(found)

    def _one_of_class(self) -> Ranges:
        if not self._next or self._pattern.startswith(("[:", "[", "&&"), self._place):
            raise Unsupported
        if self._next == "\\":
            return self._escaped()
        self._place += 1
        code = ord(self._pattern[self._place - 1])
        return ((code, code),)

    def _escaped(self) -> Ranges:
        coded = CODE.match(self._pattern, self._place)
        if coded:
            self._place = coded.end()
            code = int(coded[1] or coded[2] or coded[3], 16)
            return ((code, code),)
        char = self._pattern[self._place + 1 : self._place + 2]
        self._place += 2
        if char.lower() in CLASSES and char:
            return CLASSES[char] if char.islower() else outside(CLASSES[char.lower()])
        if char in CONTROLS and char:
            return ((CONTROLS[char], CONTROLS[char]),)
        if not char or char.isalnum():
            raise Unsupported
        return ((ord(char), ord(char)),)
