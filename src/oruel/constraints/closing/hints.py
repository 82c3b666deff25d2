"""Known ends of strings that a search wouldn't find, or not soon: required keys, and short values that fit."""

import bisect
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import llguidance
import numpy as np

from oruel.constraints.closing.string_ends import StringEnds
from oruel.constraints.schema import BYTES, json_grammar
from oruel.constraints.spec import GrammarSpec
from oruel.constraints.tokens import LIMITS, TokenTable
from oruel.json_schema.keywords import Schema, subschemas

# The lengths to try for a shortest string.
LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 64, 128)
# What restricts strings, with the type of its value; a schema may have broken ones where they don't matter.
SHAPES: dict[str, Any] = {
    "pattern": str,
    "format": str,
    "minLength": (int, float),
    "maxLength": (int, float),
    "allOf": list,
}
MAX_HINTS = 64
MAX_SAMPLES = 32
# Tried before the samples of patterns, which may be longer than other strings have to be.
SHORTEST = (b'a"', b'0"')


@lru_cache(32)
def hints(tokens: TokenTable, spec: GrammarSpec) -> StringEnds:
    """Byte by byte, as tokens: required keys, up to the colon; the shortest strings, up to their closing quote; and a
    sample string for each pattern or format in the schemas, if one is found.
    """
    schemas = spec.schemas
    keys = dict.fromkeys(key for schema in schemas for key in required_keys(schema))
    shapes = dict.fromkeys(shape for schema in schemas for shape in string_shapes(schema))
    texts = [*list(keys)[:MAX_HINTS], *SHORTEST, *map(sample_string, list(shapes)[:MAX_SAMPLES])]
    return StringEnds((spelled, text.rindex(b'"') + 1) for text in texts if text and (spelled := tokens.spell(text)))


def required_keys(schema: Schema) -> Iterator[bytes]:
    for one in subschemas(schema):
        names = one["required"] if isinstance(one.get("required"), list) else []
        yield from (json.dumps(key, ensure_ascii=False)[1:].encode() + b":" for key in names if isinstance(key, str))


def string_shapes(schema: Schema) -> Iterator[str]:
    """The restrictions of strings in the schema, each once, as the text of a schema."""
    for one in subschemas(schema):
        if "pattern" in one or "format" in one or "allOf" in one:
            yield shape_key({key: value for key, value in one.items() if isinstance(value, SHAPES.get(key, ()))})
        patterns = one.get("patternProperties")
        for pattern in patterns if isinstance(patterns, Mapping) else ():
            yield shape_key({"pattern": pattern})


def shape_key(shape: dict[str, Any]) -> str:
    return json.dumps({"type": "string", **shape}, sort_keys=True)


@lru_cache(256)
def sample_string(shape: str) -> bytes:
    """The rest of a short JSON string after its opening quote; empty if none is found."""
    schema = json.loads(shape)
    least, most = schema.get("minLength", 0), schema.get("maxLength", LENGTHS[-1])
    lengths = [length for length in LENGTHS if least <= length <= max(least, most)]
    # What fits one length also fits all greater ones.
    place = bisect.bisect_left(lengths, True, key=lambda length: bounded_matcher(schema, length) is not None)
    matcher = bounded_matcher(schema, lengths[place]) if place < len(lengths) else None
    return walk_to_end(matcher, lengths[place]) if matcher else b""


def bounded_matcher(schema: Schema, length: int) -> llguidance.LLMatcher | None:
    """A matcher of the schema's strings up to `length`; None if there are none."""
    matcher = llguidance.LLMatcher(
        BYTES.tokenizer, json_grammar({**schema, "maxLength": length}), log_level=0, limits=LIMITS
    )
    return matcher if not matcher.is_error() and any(matcher.compute_bitmask()) else None


def walk_to_end(matcher: llguidance.LLMatcher, length: int) -> bytes:
    text = bytearray()
    while not matcher.is_accepting() and len(text) <= 6 * length + 2:
        bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")[:256]
        allowed = bytes(np.flatnonzero(bits).astype(np.uint8))
        if not allowed:
            break
        # Prefers the end, then letters, then anything else.
        byte = min(allowed, key=lambda byte: (byte != ord('"'), not chr(byte).isalpha(), byte))
        text.append(byte)
        matcher.consume_token(byte)
    return bytes(text[1:]) if matcher.is_accepting() else b""
