"""Patterns without lookarounds and word boundaries, which the grammar library doesn't read."""

import re
from collections.abc import Iterator
from functools import lru_cache

LOOKAROUND = re.compile(r"\(\?(?P<kind>=|!|<=|<!)")
TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()]|.", re.DOTALL)


@lru_cache(1024)
def plain_patterns(pattern: str) -> tuple[str, ...]:
    """Patterns that a string should match instead. Lookaheads at the beginning become patterns of their own, others are
    left out; so not all strings that match these match `pattern`. Only `pattern` itself if it has none of these.
    """
    if not LOOKAROUND.search(pattern) and r"\b" not in pattern and r"\B" not in pattern:
        return (pattern,)
    kept, ahead = "", []
    for part, kind, is_first in parts(pattern):
        if not kind:
            kept += "" if part in (r"\b", r"\B") else part
        elif kind == "=" and is_first:
            ahead.append("^" + "".join(plain_patterns(part)[:1]))
    return (kept, *ahead)


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
