"""Regular expressions for sets of literal texts, and where they occur."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any


def alternatives(texts: Collection[str]) -> re.Pattern[str]:
    """A pattern that matches any of `texts`, the longest first; nothing if there are none. It tries each position once,
    however many texts begin alike: vocabularies contain thousands of `<unused…>`.
    """
    tree: dict[str, Any] = {}
    for text in texts:
        branch = tree
        for character in text:
            branch = branch.setdefault(character, {})
        branch[""] = {}
    return re.compile(_expression(tree) or r"(?!)", re.DOTALL)


def _expression(tree: Mapping[str, Any]) -> str:
    literal = ""
    while len(tree) == 1 and "" not in tree:
        ((character, tree),) = tree.items()
        literal += re.escape(character)
    branches = [re.escape(character) + _expression(branch) for character, branch in tree.items() if character]
    if not branches:
        return literal
    return f"{literal}(?:{'|'.join(branches)}){'?' if '' in tree else ''}"


def occurrences(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, int]]:
    """Every position where a match begins, overlapping ones included, with the longest match there."""
    match = pattern.search(text)
    while match is not None:
        yield match[0], match.start()
        match = pattern.search(text, match.start() + 1)


def overlap(text: str, *markers: str) -> int:
    """How many of the last characters may be the beginning of a marker."""
    longest = 0
    for marker in markers:
        length = min(len(text), len(marker) - 1)
        while length > longest and not text.endswith(marker[:length]):
            length -= 1
        longest = max(longest, length)
    return longest
