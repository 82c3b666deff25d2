"""Cuts long texts into parts that can be tokenised one after another."""

import re
from itertools import pairwise

# Patterns that match up to the last end of a word, in order of preference: before a space, where nearly every tokenizer
# ends a word, then before punctuation.
LAST_WORD_ENDS = (
    re.compile(r".*\w(?= \w)", re.DOTALL),
    re.compile(r".*[^\W_](?=[\s!-&(-/:-@\[-^`{-~。，、！？；：])", re.DOTALL),
)


def cut_text(text: str, limit: int) -> list[str]:
    """Splits `text` into parts of at most `limit` characters.

    A cut between words doesn't change the tokens. Only words of `limit` characters or more are cut inside; this may
    change their tokens, but not the text that the tokens spell.
    """
    parts = []
    start = 0
    while len(text) - start > limit:
        end = _last_word_end(text, start, start + limit)
        parts.append(text[start:end])
        start = end
    parts.append(text[start:])
    return parts


def cut_inside(text: str, names: re.Pattern[str]) -> list[str]:
    """Splits `text` after the first character of each match."""
    cuts = [0, *(match.start() + 1 for match in names.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def _last_word_end(text: str, start: int, end: int) -> int:
    for pattern in LAST_WORD_ENDS:
        if match := pattern.match(text, start, end):
            return match.end()
    return end
