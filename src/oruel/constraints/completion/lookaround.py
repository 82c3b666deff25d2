"""Patterns without lookarounds and word boundaries, which neither automata nor the grammar library read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

LOOKAROUND = re.compile(r"\(\?(?P<kind>=|!|<=|<!)")
TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()]|.", re.DOTALL)
BOUNDARIES = (r"\b", r"\B")


@dataclass(frozen=True)
class PlainPatterns:
    """What to match all of, and what to match none of. If `is_exact`, a string matches the original pattern if and only
    if it does so; otherwise some that do don't match the original.
    """

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    is_exact: bool = True


def has_lookaround(pattern: str) -> bool:
    return bool(LOOKAROUND.search(pattern)) or any(one in pattern for one in BOUNDARIES)


@lru_cache(1024)
def plain_patterns(pattern: str) -> PlainPatterns:
    """Lookaheads directly after a ^ at the beginning become patterns of their own, others are left out."""
    if not has_lookaround(pattern):
        return PlainPatterns((pattern,))
    kept, is_exact = "", True
    wanted: list[str] = []
    unwanted: list[str] = []
    for part, kind, is_first in parts(pattern):
        inner = f"^(?:{part})"
        if not kind and part not in BOUNDARIES:
            kept += part
        elif is_first and kind in ("=", "!") and not has_lookaround(part):
            (wanted if kind == "=" else unwanted).append(inner)
        else:
            is_exact = False
    is_exact = is_exact and not has_alternatives(kept)
    return PlainPatterns((kept, *wanted), tuple(unwanted), is_exact)


def has_alternatives(pattern: str) -> bool:
    """Whether a | stands outside of groups, so that a lookahead at the beginning doesn't hold for all of it."""
    depth = 0
    for token in TOKEN.finditer(pattern):
        depth += (token[0] == "(") - (token[0] == ")")
        if token[0] == "|" and depth == 0:
            return True
    return False


def parts(pattern: str) -> Iterator[tuple[str, str, bool]]:
    """Tokens; and the content of lookarounds, with their kind, and whether they follow a ^ at the start."""
    place, is_first = 0, True
    while place < len(pattern):
        found = LOOKAROUND.match(pattern, place)
        if found:
            end = group_end(pattern, place)
            yield pattern[found.end() : end - 1], found["kind"], is_first and pattern.startswith("^")
            place = end
            continue
        token = TOKEN.match(pattern, place)
        assert token
        yield token[0], "", False
        is_first = is_first and token[0] == "^"
        place = token.end()


def group_end(pattern: str, start: int) -> int:
    """The end of the group that begins at `start`."""
    depth = 0
    for token in TOKEN.finditer(pattern, start):
        depth += (token[0] == "(") - (token[0] == ")")
        if depth == 0:
            return token.end()
    return len(pattern) + 1
