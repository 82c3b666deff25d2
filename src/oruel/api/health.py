"""GET /health: 200 while the server can answer requests, 503 otherwise."""

from collections.abc import Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oruel.api.services import Endpoint, Health


def health_endpoint(health: Callable[[], Health]) -> Endpoint:
    async def read_health(request: Request) -> Response:
        state = health()
        return JSONResponse(asdict(state), 200 if state.status == "ok" else 503)

    return read_health
