"""Interprets a response that is no stream: whose fault it is, and what the caller may be told."""

import json
from typing import Any

from oruel.contract.kinds import abbreviate
from oruel.errors import (
    ContextLengthExceeded,
    InvalidParameter,
    OruelError,
    Overloaded,
    UpstreamFailed,
    UpstreamUnavailable,
)

REQUEST_ERROR_STATUSES = (400, 413, 422)
OVERLOADED_STATUSES = (429, 503)
UNAVAILABLE_STATUSES = (502, 504)
CONTEXT_LENGTH = ("context_length_exceeded", "exceed_context_size_error")
MAX_RETRY_AFTER = 3600
MAX_CHARACTERS = 400
# int() refuses thousands of digits.
MAX_DIGITS = 18


def upstream_error(status: int, retry_after: str, body: bytes) -> OruelError:
    """The error for a response with this status, Retry-After and body. What the other server says about the caller's
    request is passed on; what it says about itself goes to the log only.
    """
    error = parse_error(body)
    said = one_line(error.get("message", "")) or "nothing"
    if status in REQUEST_ERROR_STATUSES:
        return request_error(error, f"The server behind this model refused the request: {said}")
    if status in OVERLOADED_STATUSES:
        return Overloaded(
            "The server behind this model is overloaded. Try again later.", retry_after=parse_retry_after(retry_after)
        )
    kind = UpstreamUnavailable if status in UNAVAILABLE_STATUSES else UpstreamFailed
    return kind(f"The server behind this model answered with status {status}.", detail=said)


def request_error(error: dict[str, Any], message: str) -> InvalidParameter | ContextLengthExceeded:
    if error.get("code") in CONTEXT_LENGTH or error.get("type") in CONTEXT_LENGTH:
        return ContextLengthExceeded(message, param="messages")
    param = error.get("param")
    return InvalidParameter(
        message, param=abbreviate(replace_unprintable(param)) if isinstance(param, str) and param else None
    )


def parse_error(body: bytes) -> dict[str, Any]:
    """OpenAI's error object, also without its envelope, as SGLang sends it; other text becomes its message."""
    text = body.decode(errors="replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": text}
    error = said.get("error", said) if isinstance(said, dict) else said
    return error if isinstance(error, dict) else {"message": error}


def parse_retry_after(retry_after: str) -> int:
    """Seconds. A date, or no header, counts as one."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return 1
    return min(max(1, int(retry_after)), MAX_RETRY_AFTER) if len(retry_after) <= MAX_DIGITS else MAX_RETRY_AFTER


def one_line(text: object) -> str:
    return abbreviate(replace_unprintable(" ".join(str(text).split())), MAX_CHARACTERS)


def replace_unprintable(text: str) -> str:
    """With a question mark in place of characters that must not reach a terminal or JSON text: control characters,
    surrogates.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)
