"""Translates exceptions into responses in OpenAI's shape. The only place that does."""

from traceback import format_exception
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.record import RequestRecord
from oruel.contract.kinds import abbreviate
from oruel.errors import AuthenticationError, MethodNotAllowed, NotFound, OruelError, Overloaded, ServerError

log = structlog.get_logger("oruel.api")


class ErrorBody(msgspec.Struct):
    """`param` is the path of the field at fault, such as messages[2].content."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(msgspec.Struct):
    error: ErrorBody


def translate(error: Exception, record: RequestRecord) -> OruelError:
    """The error as the caller may see it. Internal errors are logged with their traceback, and shown without it."""
    if not isinstance(error, OruelError):
        # As text, because a renderer of exc_info may show local variables, and thereby the prompt.
        log.error("unexpected exception", request_id=record.id, traceback="".join(format_exception(error)))
        error = ServerError(f"Something failed inside the server. It is logged under request id {record.id}.")
    record.error = error.code or error.type
    return error


def error_json(error: OruelError) -> bytes:
    param = None if error.param is None else encodable(error.param)
    body = ErrorBody(message=encodable(error.message), type=error.type, param=param, code=error.code)
    return msgspec.json.encode(ErrorResponse(body))


def encodable(text: str) -> str:
    """With a question mark for each lone surrogate, which can't be encoded."""
    return text.encode(errors="replace").decode()


def error_response(error: OruelError) -> Response:
    return Response(error_json(error), error.status, error_headers(error), media_type="application/json")


def error_headers(error: OruelError) -> dict[str, str]:
    match error:
        case Overloaded():
            return {"retry-after": str(error.retry_after)}
        case AuthenticationError():
            return {"www-authenticate": "Bearer"}
        case _:
            return {}


async def routing_failure(request: Request, error: Exception) -> Response:
    """Starlette's own exceptions: an unknown endpoint, or a method that the endpoint doesn't support."""
    assert isinstance(error, HTTPException)
    endpoint = f"{abbreviate(request.method)} {abbreviate(request.url.path, 80)}"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "").replace("GET", "GET, HEAD")
        response = error_response(MethodNotAllowed(f"There is no {endpoint} here; this path takes {allowed}."))
        response.headers["allow"] = allowed
        return response
    return error_response(NotFound(f"There is no endpoint {endpoint} here. GET /docs lists the endpoints."))


def responses_schema(*statuses: int) -> dict[str, Any]:
    """The error responses of an operation, for the OpenAPI document."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    return {str(status): {"description": DESCRIPTIONS[status], "content": content} for status in statuses}


DESCRIPTIONS = {
    400: "A field is unknown, out of range or can't be honoured; param names it",
    401: "The API key is missing or unknown",
    403: "The Host header names another machine",
    404: "There is no such model",
    408: "The request arrived too slowly",
    413: "The body is too large",
    415: "The body is not JSON",
    431: "The request line and headers are too long",
    500: "A failure of the server, logged under the request id",
    502: "Another server, to which this one passed the request, failed it",
    503: "Overloaded, or the engine failed; Retry-After says when to try again",
    504: "A deadline passed",
    508: "The request went through too many Oru'el servers",
}
