"""Converts an error response of an upstream server into the error for the caller."""

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
# Longer numbers exceed the maximum anyway, and int() refuses thousands of digits.
MAX_DIGITS = 18


def upstream_error(status: int, retry_after: str, body: bytes) -> OruelError:
    """`retry_after` is the value of that header. The server's message is forwarded if it is about the request;
    otherwise only the log contains it, since it may describe the server's internals.
    """
    error = parse_error(body)
    message = one_line(error.get("message", "")) or "no message"
    if status in REQUEST_ERROR_STATUSES:
        return request_error(error, f"The server behind this model refused the request: {message}")
    if status in OVERLOADED_STATUSES:
        return Overloaded(
            "The server behind this model is overloaded. Try again later.", retry_after=parse_retry_after(retry_after)
        )
    kind = UpstreamUnavailable if status in UNAVAILABLE_STATUSES else UpstreamFailed
    return kind(f"The server behind this model answered with status {status}.", detail=message)


def request_error(error: dict[str, Any], message: str) -> InvalidParameter | ContextLengthExceeded:
    if error.get("code") in CONTEXT_LENGTH or error.get("type") in CONTEXT_LENGTH:
        return ContextLengthExceeded(message, param="messages")
    param = error.get("param")
    return InvalidParameter(
        message, param=abbreviate(replace_unprintable(param)) if isinstance(param, str) and param else None
    )


def parse_error(body: bytes) -> dict[str, Any]:
    """Returns OpenAI's error object. Accepts it without its envelope, as SGLang sends it, and text as its message."""
    text = body.decode(errors="replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": text}
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    return error if isinstance(error, dict) else {"message": error}


def parse_retry_after(retry_after: str) -> int:
    """Returns seconds, from 1 to MAX_RETRY_AFTER. A date or an empty value counts as 1."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return 1
    return min(max(1, int(retry_after)), MAX_RETRY_AFTER) if len(retry_after) <= MAX_DIGITS else MAX_RETRY_AFTER


def one_line(text: object) -> str:
    return abbreviate(replace_unprintable(" ".join(str(text).split())), MAX_CHARACTERS)


def replace_unprintable(text: str) -> str:
    """Replaces control characters and surrogates, which terminals or JSON can't show, by question marks."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
