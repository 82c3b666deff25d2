"""All endpoints and the middleware around them."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oruel import __version__
from oruel.api.account_operations import admin_endpoints, usage_operation
from oruel.api.body_pace import LimitBodyPace
from oruel.api.chat.endpoint import chat_endpoint
from oruel.api.docs import docs_endpoint
from oruel.api.failures import routing_failure
from oruel.api.health import health_endpoint
from oruel.api.held_bodies import MOST_BYTES, BoundHeldBodies
from oruel.api.metrics import Metrics, metrics_endpoint
from oruel.api.middleware import AnswerErrors, CheckHost, CheckKey, HeadAsGet, RecordRequests
from oruel.api.models import list_parameters, model_endpoint, models_endpoint
from oruel.api.openapi import (
    chat_operation,
    health_operation,
    json_operation,
    model_operation,
    openapi_endpoint,
    text_operation,
    tokenize_operation,
    without_key,
)
from oruel.api.origins import AllowedOrigins, CheckOrigin, ShareWithOrigins
from oruel.api.services import Endpoint, Services
from oruel.api.tokenize import tokenize_endpoint
from oruel.api.usage import usage_endpoint
from oruel.api.web import FOLDER, PAGE, web_endpoint


class UnparsedRoute(APIRoute):
    """A route whose endpoint takes the request itself, without FastAPI's dependency resolution."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def create_api(services: Services) -> FastAPI:
    origins = AllowedOrigins(services.allowed_origins)
    api = FastAPI(
        title="Oru'el",
        summary="Chat completions with every inference parameter honoured exactly or refused by name.",
        version=__version__,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers={HTTPException: routing_failure},
        middleware=[
            Middleware(RecordRequests, metrics=Metrics(services.registry)),
            Middleware(ShareWithOrigins, allowed=origins),
            Middleware(AnswerErrors),
            Middleware(CheckHost, allowed=services.allowed_hosts),
            Middleware(CheckOrigin, allowed=origins),
            Middleware(CheckKey, hashes=services.api_key_hashes, keys=services.keys),
            Middleware(LimitBodyPace, seconds=services.body_seconds),
            Middleware(BoundHeldBodies, most=max(MOST_BYTES, 2 * services.max_body_bytes)),
            Middleware(HeadAsGet),
        ],
    )
    api.router.route_class = UnparsedRoute
    add_inference_routes(api, services)
    add_account_routes(api, services)
    post(api, "/tokenize", tokenize_endpoint(services), tokenize_operation())
    get(api, "/health", health_endpoint(services.health), health_operation(), needs_key=False)
    get(
        api,
        "/metrics",
        metrics_endpoint(services.registry),
        text_operation("Metrics in Prometheus' text format"),
        "text/plain",
    )
    docs = docs_endpoint(playground=services.web)
    get(api, "/docs", docs, text_operation("The parameter page"), "text/html", needs_key=False)
    web = web_endpoint(enabled=services.web)
    for path in (PAGE, f"{FOLDER}{{path:path}}"):
        api.add_api_route(path, web, methods=["GET"], include_in_schema=False)
    get(
        api,
        "/openapi.json",
        openapi_endpoint(api, needs_key=lambda: services.requires_key),
        json_operation("OpenAPI"),
        needs_key=False,
    )
    return api


def add_inference_routes(api: FastAPI, services: Services) -> None:
    for prefix in ("/v1", "/v1/inference"):
        post(api, f"{prefix}/chat/completions", chat_endpoint(services), chat_operation())
        get(api, f"{prefix}/models", models_endpoint(services), json_operation("ModelList"))
        get(api, f"{prefix}/models/{{model:path}}", model_endpoint(services), model_operation())
        get(api, f"{prefix}/parameters", list_parameters, json_operation("ParameterList"))


def add_account_routes(api: FastAPI, services: Services) -> None:
    get(api, "/v1/usage", usage_endpoint(services), usage_operation())
    for method, path, endpoint, operation in admin_endpoints(services):
        api.add_api_route(path, endpoint, methods=[method], openapi_extra=operation)


def get(
    api: FastAPI,
    path: str,
    endpoint: Endpoint,
    operation: dict[str, Any],
    media_type: str | None = None,
    *,
    needs_key: bool = True,
) -> None:
    # FastAPI documents every response class other than its JSONResponse as text.
    kind = JSONResponse if media_type is None else type("TextResponse", (Response,), {"media_type": media_type})
    # An operation without `security` inherits the document's, which requires a key if the operator configured one.
    extra = operation if needs_key else without_key(operation)
    api.add_api_route(path, endpoint, methods=["GET"], response_class=kind, openapi_extra=extra)


def post(api: FastAPI, path: str, endpoint: Endpoint, operation: dict[str, Any]) -> None:
    api.add_api_route(path, endpoint, methods=["POST"], openapi_extra=operation)
