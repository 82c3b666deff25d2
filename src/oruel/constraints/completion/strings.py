"""Strings that fit the lengths, patterns and formats of a variant, written after what is written already."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import count, islice
from typing import Any

import llguidance
import numpy as np

from oruel.constraints.closing.hints import bounded_matcher
from oruel.constraints.completion.formats import FORMATS
from oruel.constraints.completion.lookaround import plain_patterns
from oruel.constraints.completion.node import Variant, matcher_of
from oruel.constraints.completion.words import Words, words
from oruel.constraints.json_text import JsonTracker

# The lengths to try for strings of patterns and formats.
LENGTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
# How many strings one variant has at most, and how many of them are searched for.
MAX_STRINGS, MAX_WALKS = 1_000, 24
TURNS_PER_LENGTH = 12
MAX_LENGTH = 4_096
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def strings(variant: Variant) -> Iterator[str]:
    for rest in islice(string_ends(variant, b""), MAX_STRINGS):
        yield json.loads(b'"' + rest)


def string_ends(variant: Variant, written: bytes) -> Iterator[bytes]:
    """What may follow `written`, the text after an opening quote, up to the closing one."""
    least, most = variant.least("minLength"), variant.most("maxLength", MAX_LENGTH)
    if any(texts(variant, keyword) for keyword in ("pattern", "format")) or unwanted_patterns(variant):
        yield from shaped_ends(variant, written, least, most)
    else:
        yield from free_ends(written, least, most)


def texts(variant: Variant, keyword: str) -> list[str]:
    return list(dict.fromkeys(one for one in variant.given(keyword) if isinstance(one, str)))


def unwanted_patterns(variant: Variant) -> list[str]:
    """Of schemas that are nothing but the opposite of a pattern."""
    given = [one for one in variant.given("not") if isinstance(one, Mapping) and one.keys() <= {"pattern", "type"}]
    return [
        one["pattern"] for one in given if isinstance(one.get("pattern"), str) and one.get("type") in (None, "string")
    ]


def free_ends(written: bytes, least: int, most: int) -> Iterator[bytes]:
    """Without a pattern: the closing quote, with letters before it."""
    start = whole_characters(written)
    length = len(json.loads(b'"' + written + start + b'"'))
    pad = max(0, least - length)
    for text in letters():
        filled = (text + "a" * pad)[: max(pad, len(text))] if pad else text
        if length + len(filled) > most:
            return
        yield start + filled.encode() + b'"'


def letters() -> Iterator[str]:
    """ "", a, b, ..., z, ba, bb, ..."""
    yield ""
    for number in count():
        text = ""
        while number or not text:
            number, digit = divmod(number, len(LETTERS))
            text = LETTERS[digit] + text
        yield text


def whole_characters(written: bytes) -> bytes:
    """What completes an escape or a character in progress."""
    tracker = JsonTracker()
    tracker.feed(b'["' + written)
    return tracker.closing[:-2]


def shaped_ends(variant: Variant, written: bytes, least: int, most: int) -> Iterator[bytes]:
    """By automata, or if there are none or they find nothing, by the grammar library."""
    plain = [plain_patterns(one) for one in texts(variant, "pattern")]
    is_exact = all(one.is_exact for one in plain)
    formats = texts(variant, "format")
    wanted = [part for one in plain for part in one.wanted]
    unwanted = (*(part for one in plain for part in one.unwanted), *unwanted_patterns(variant))
    known = words((*wanted, *(FORMATS[one] for one in formats if one in FORMATS)), unwanted, least, most)
    is_found = False
    if known is not None and all(one in FORMATS for one in formats):
        for end in islice(word_ends(known, written), MAX_STRINGS):
            if is_exact or fits(variant, written + end):
                is_found = True
                yield end
    if not is_found:
        for end in walked_ends(wanted, formats, written, least, most):
            if (is_exact and not unwanted) or fits(variant, written + end):
                yield end


def word_ends(known: Words, written: bytes) -> Iterator[bytes]:
    """After each way to complete an escape in progress."""
    for start in starts(written):
        for word in known.after(json.loads(b'"' + written + start + b'"')):
            yield start + json.dumps(word, ensure_ascii=False).encode()[1:]


def starts(written: bytes) -> Iterator[bytes]:
    first = whole_characters(written)
    yield first
    if first == b"n":
        yield from (b'"', b"\\", b"t", b"/", b"r", b"b", b"f")


def walked_ends(patterns: list[str], formats: list[str], written: bytes, least: int, most: int) -> Iterator[bytes]:
    parts = [*({"pattern": one} for one in patterns), *({"format": one} for one in formats)]
    bounds = ({"minLength": least} if least else {}) | ({"maxLength": most} if most < MAX_LENGTH else {})
    shape = json.dumps(
        {"type": "string", **(parts[0] if len(parts) == 1 else {"allOf": parts} if parts else {}), **bounds}
    )
    seen = {b""}
    for turn in range(MAX_WALKS):
        end = walk(shape, written, turn)
        if end not in seen:
            seen.add(end)
            yield end


def fits(variant: Variant, text: bytes) -> bool:
    """Whether the text of a string, up to its closing quote, fits the lengths and those patterns that Python reads."""
    try:
        value = json.loads(b'"' + text)
    except ValueError:
        return False
    if not variant.least("minLength") <= len(value) <= variant.most("maxLength", MAX_LENGTH):
        return False
    wanted = map(matcher_of, texts(variant, "pattern"))
    unwanted = map(matcher_of, unwanted_patterns(variant))
    return all(one is None or one.search(value) for one in wanted) and not any(
        one is not None and one.search(value) for one in unwanted
    )


def walk(shape: str, written: bytes, turn: int) -> bytes:
    """The rest of a string of `shape` after `written`; each turn takes another one, the later ones longer. Empty if
    none is found.
    """
    longer, turn = divmod(turn, TURNS_PER_LENGTH)
    matcher = shortest_matcher(shape, written, longer)
    if matcher is None:
        return b""
    text = bytearray()
    while not matcher.is_accepting() and len(text) < MAX_LENGTH:
        bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")[:256]
        allowed = bytes(np.flatnonzero(bits).astype(np.uint8))
        if not allowed:
            return b""
        usual = [byte for byte in allowed if byte == ord('"') or chr(byte).isalnum()] or list(allowed)
        usual.sort(key=lambda byte: (byte != ord('"'), not chr(byte).isalpha(), byte))
        byte = usual[turn % len(usual)]
        turn //= len(usual)
        text.append(byte)
        matcher.consume_token(byte)
    return bytes(text) if matcher.is_accepting() else b""


def shortest_matcher(shape: str, written: bytes, longer: int) -> llguidance.LLMatcher | None:
    """After `written`, a matcher of the strings up to the smallest length that leads to an end, or `longer` steps
    above it.
    """
    schema = json.loads(shape)
    least, most = schema.get("minLength", 0), schema.get("maxLength", MAX_LENGTH)
    data = list(b'"' + written)
    for length in [one for one in LENGTHS if max(least, len(written) // 6) <= one <= most] or [max(least, most)]:
        matcher = matcher_up_to(shape, length)
        if matcher is None:
            continue
        matcher = matcher.deep_copy()
        if matcher.try_consume_tokens(data) == len(data) and any(matcher.compute_bitmask()):
            longer -= 1
            if longer < 0:
                return matcher
    return None


@lru_cache(512)
def matcher_up_to(shape: str, length: int) -> llguidance.LLMatcher | None:
    schema: dict[str, Any] = json.loads(shape)
    return bounded_matcher(schema, length)
