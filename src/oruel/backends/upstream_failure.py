"""Converts an error response of an upstream server into the error for the caller."""

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
from oruel.http.failure import one_line, parse_error, parse_retry_after, replace_unprintable

REQUEST_ERROR_STATUSES = (400, 413, 422)
OVERLOADED_STATUSES = (429, 503)
UNAVAILABLE_STATUSES = (502, 504)
CONTEXT_LENGTH = ("context_length_exceeded", "exceed_context_size_error")


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
