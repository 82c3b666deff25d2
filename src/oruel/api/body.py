"""Reads the body of a request as a JSON object. Its size is bounded before it is in memory; parsing is strict."""

import json
import re
from collections import Counter
from typing import Any

from starlette.requests import Request

from oruel.contract.kinds import abbreviate
from oruel.errors import BodyTooLarge, InvalidBody, NotJSON

# Larger bodies take several milliseconds to parse and validate, which would block the event loop.
SMALL_BYTES = 2**20
SMALL_VALUES = 1000

# int() of thousands of digits is slow or refused, and no field takes more than 20.
MAX_DIGITS = 300

# Matches brackets and strings; a string before a colon is a name. The pattern never backtracks, since the input may be
# adversarial.
TOKENS = re.compile(r'[{}\[\]]|"((?:[^"\\]++|\\.)*+)(?:"(\s*+:)?)?', re.DOTALL)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Raises BodyTooLarge or NotJSON."""
    raw = await read_bounded(request, max_bytes)
    require_json(request)
    return raw


def is_small(raw: bytes) -> bool:
    """Whether the body is small enough to be parsed on the event loop."""
    return len(raw) <= SMALL_BYTES and raw.count(b'"') <= SMALL_BYTES // 64 and values_in(raw) <= SMALL_VALUES


def values_in(raw: bytes) -> int:
    """The approximate number of values and names in the JSON."""
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in raw else raw
    outside = b"".join(unescaped.split(b'"')[::2])
    return sum(map(outside.count, (b",", b"[", b"{")))


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """Raises BodyTooLarge, before reading anything if Content-Length says so."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > max_bytes:
        raise too_large(max_bytes)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise too_large(max_bytes)
        parts.append(part)
    return b"".join(parts)


def require_json(request: Request) -> None:
    # Web pages can make a browser send some other content types to the loopback without a preflight request.
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        sent = f'"{abbreviate(content_type)}"' if content_type else "missing"
        raise NotJSON(f"The Content-Type must be application/json, but is {sent}.")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise NotJSON(f'The body must not be compressed, but its Content-Encoding is "{abbreviate(encoding)}".')


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parses the body as a JSON object. NaN and numbers outside the range of float become floats that no kind accepts,
    so that the error can name their field. Raises InvalidBody.
    """
    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique_fields, parse_int=parse_integer, parse_constant=float)
    except UnicodeDecodeError as error:
        raise InvalidBody(f"The body must be UTF-8, but the byte at offset {error.start} can't be decoded.") from None
    except json.JSONDecodeError as error:
        raise InvalidBody(
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
            if raw
            else "The body is empty. Send a JSON object."
        ) from None
    except RecursionError:
        name = deepest_field(raw.decode())
        raise InvalidBody(f"{name or 'The body'} is nested too deeply. Send fewer levels.", param=name) from None
    if not isinstance(value, dict):
        raise InvalidBody('The body must be a JSON object, such as {"model": …, "messages": […]}.')
    return value


def deepest_field(text: str) -> str | None:
    """The name of the top-level field with the deepest nesting, in JSON that is too deep to parse; None in an array."""
    depth = deepest = 0
    name = found = None
    for token in TOKENS.finditer(text):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
        elif depth == 1 and token[2]:
            name = abbreviate(token[1])
        if depth > deepest:
            deepest, found = depth, name
    return found


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = abbreviate(counts.most_common(1)[0][0])
        raise InvalidBody(f'The field "{repeated}" appears more than once in an object. Send it once.', param=repeated)
    return fields


def parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float("inf")


def too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body must be at most {max_bytes} bytes. Send fewer or shorter messages.")
