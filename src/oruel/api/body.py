"""Reads the body of a request as a JSON object: bounded before it is held in memory, and parsed strictly."""

import json
import re
from collections import Counter
from typing import Any

from starlette.requests import Request

from oruel.contract.kinds import abbreviate
from oruel.errors import BodyTooLarge, InvalidBody, NotJSON

# Larger bodies take more than some milliseconds to parse and check, which would block the event loop.
SMALL_BYTES = 2**20
SMALL_VALUES = 1000

# int() of thousands of digits is slow or refused, and no field takes more than 20.
MAX_DIGITS = 300

# The parts of JSON that its depth depends on; a name is a string before a colon. The pattern never backtracks, since
# the input may be adversarial.
TOKENS = re.compile(r'[{}\[\]]|"((?:[^"\\]++|\\.)*+)(?:"(\s*+:)?)?', re.DOTALL)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Raises BodyTooLarge, NotJSON."""
    raw = await read_bounded(request, max_bytes)
    require_json(request)
    return raw


def is_small(raw: bytes) -> bool:
    """Whether the body can be parsed on the event loop."""
    return len(raw) <= SMALL_BYTES and raw.count(b'"') <= SMALL_BYTES // 64 and values_in(raw) <= SMALL_VALUES


def values_in(raw: bytes) -> int:
    """The approximate number of values and names in the JSON."""
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in raw else raw
    outside = b"".join(unescaped.split(b'"')[::2])
    return sum(map(outside.count, (b",", b"[", b"{")))


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """Refuses by Content-Length before reading anything, and by counting if there is none."""
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
    # From any page, a browser can send other content types to the loopback without a preflight request.
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        sent = f'"{abbreviate(content_type)}"' if content_type else "missing"
        raise NotJSON(f"The Content-Type must be application/json, but is {sent}.")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise NotJSON(f'The body must not be compressed, but its Content-Encoding is "{abbreviate(encoding)}".')


def parse_object(raw: bytes) -> dict[str, Any]:
    """The body's JSON object. NaN and numbers beyond float's range become floats that no kind accepts, so that the
    error can name their field. Raises InvalidBody.
    """
    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique_fields, parse_int=parse_integer, parse_constant=float)
    except UnicodeDecodeError as error:
        raise InvalidBody(f"The body is not UTF-8: byte {error.start} can't be decoded.") from None
    except json.JSONDecodeError as error:
        raise InvalidBody(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
            if raw
            else "The body is empty; send a JSON object."
        ) from None
    except RecursionError:
        name = deepest_field(raw.decode())
        raise InvalidBody(f"{name or 'The body'} is nested too deep.", param=name) from None
    if not isinstance(value, dict):
        raise InvalidBody('The body must be a JSON object, such as {"model": …, "messages": […]}.')
    return value


def deepest_field(text: str) -> str | None:
    """The name of the most deeply nested field in JSON that is too deep to parse; None inside arrays."""
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
        twice = abbreviate(counts.most_common(1)[0][0])
        raise InvalidBody(f'The field "{twice}" appears more than once in one object.', param=twice)
    return fields


def parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float("inf")


def too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body must be at most {max_bytes} bytes. Send fewer or shorter messages.")
