"""Translates exceptions into error responses in OpenAI's shape."""

from traceback import format_exception
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from oruel.api.record import RequestRecord
from oruel.contract.kinds import abbreviate
from oruel.errors import (
    AuthenticationError,
    MethodNotAllowed,
    NotFound,
    OruelError,
    Overloaded,
    RateLimited,
    ServerError,
)

log = structlog.get_logger("oruel.api")


class ErrorBody(msgspec.Struct):
    """`param` is the path of the invalid field, such as messages[2].content."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(msgspec.Struct):
    error: ErrorBody


def translate(error: Exception, record: RequestRecord) -> OruelError:
    """Returns the error to send. Unexpected exceptions are logged with their traceback and become a ServerError."""
    if not isinstance(error, OruelError):
        # As text: a renderer of exc_info may show local variables, which contain the prompt.
        log.error("unexpected exception", request_id=record.id, traceback="".join(format_exception(error)))
        error = ServerError(f"The server failed unexpectedly. It logged the error under request id {record.id}.")
    record.error = error.code or error.type
    return error


def error_json(error: OruelError) -> bytes:
    param = None if error.param is None else encodable(error.param)
    body = ErrorBody(message=encodable(error.message), type=error.type, param=param, code=error.code)
    return msgspec.json.encode(ErrorResponse(body))


def encodable(text: str) -> str:
    """Replaces lone surrogates, which can't be encoded, by question marks."""
    return text.encode(errors="replace").decode()


def error_response(error: OruelError) -> Response:
    return Response(error_json(error), error.status, error_headers(error), media_type="application/json")


def error_headers(error: OruelError) -> dict[str, str]:
    match error:
        case Overloaded() | RateLimited() if error.retry_after is not None:
            return {"retry-after": str(error.retry_after)}
        case AuthenticationError():
            return {"www-authenticate": "Bearer"}
        case _:
            return {}


async def routing_failure(request: Request, error: Exception) -> Response:
    """The response to Starlette's own exceptions: an unknown path, or a method that the path doesn't support."""
    assert isinstance(error, HTTPException)
    endpoint = f"{abbreviate(request.method)} {abbreviate(request.url.path, 80)}"
    if error.status_code == 405:
        allowed = ", ".join(methods_of(request)).replace("GET", "GET, HEAD")
        response = error_response(MethodNotAllowed(f"There is no endpoint {endpoint}. This path supports {allowed}."))
        response.headers["allow"] = allowed
        return response
    return error_response(NotFound(f"There is no endpoint {endpoint}. GET /docs lists the endpoints."))


def methods_of(request: Request) -> list[str]:
    """What the path supports. Starlette names only the methods of the first route, but each method has its own here."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes if isinstance(route, Route) for method in route.methods or ()})


def responses_schema(*statuses: int) -> dict[str, Any]:
    """The error responses of an operation in the OpenAPI document."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    return {str(status): {"description": DESCRIPTIONS[status], "content": content} for status in statuses}


DESCRIPTIONS = {
    400: "A field is unknown, invalid or not supported; param names it",
    401: "The API key is missing or unknown",
    402: "The account's balance doesn't cover the highest possible price of the request",
    403: "The Host or Origin header names a host or page that isn't allowed, or the key doesn't allow the request",
    404: "The model does not exist",
    408: "The request arrived too slowly",
    409: "The Idempotency-Key belongs to another request, or to one that is running",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "A limit of the API key is reached; Retry-After says when to retry, if that helps",
    431: "The request line and headers are too long",
    500: "An unexpected error, logged under the request id",
    502: "The upstream server failed",
    503: "The server is overloaded, or its engine failed; Retry-After says when to retry",
    504: "A deadline expired",
    508: "The request passed through too many Oru'el servers",
}
