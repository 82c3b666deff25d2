"""Which web pages may send requests: the server's own, and those of the origins that the operator allows (CORS).

Browsers name the origin of a page in its requests. Without this check, any website could use a server on the visitor's
own machine. Other clients send no Origin header.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oruel.api.rate_headers import NAMES
from oruel.contract.kinds import abbreviate
from oruel.errors import OriginRefused

METHODS = "GET, HEAD, POST"
# Otherwise a browser hides all but a few headers of the response from the page.
EXPOSED = ", ".join(
    (
        "retry-after",
        "x-request-id",
        "x-oruel-deployment",
        "x-oruel-differs",
        "x-oruel-ignored",
        "x-oruel-replayed",
        *NAMES,
    )
)
PREFLIGHT_SECONDS = 600


class AllowedOrigins:
    """The origins that the operator named, in lower case; "*" allows any."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = frozenset(name.lower() for name in names)

    def __contains__(self, origin: str) -> bool:
        return "*" in self._names or origin.lower() in self._names


class ShareWithOrigins:
    """Lets pages of the allowed origins read every response, errors included, and answers their preflight requests."""

    def __init__(self, app: ASGIApp, allowed: AllowedOrigins) -> None:
        self.app = app
        self.allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = sent_origin(scope)
        if origin is None or origin not in self.allowed:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(sharing_headers(origin))
            await send(message)

        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        app = Response(status_code=204, headers=preflight_headers(headers)) if is_preflight else self.app
        await app(scope, receive, send_shared)


def sharing_headers(origin: str) -> dict[str, str]:
    return {"access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED, "vary": "Origin"}


def preflight_headers(asked: Mapping[str, str]) -> dict[str, str]:
    """Allows the headers that the page wants to send: clients add their own, and the key protects the server."""
    return {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": asked.get("access-control-request-headers", ""),
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }


class CheckOrigin:
    """Refuses requests of web pages from elsewhere. A page's own origin is the host that its request names; CheckHost
    has checked that.
    """

    def __init__(self, app: ASGIApp, allowed: AllowedOrigins) -> None:
        self.app = app
        self.allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = sent_origin(scope)
        if origin is not None and origin not in self.allowed and not is_own_origin(origin, scope):
            raise OriginRefused(
                f'A web page of the origin "{abbreviate(origin, 80)}" sent this request, but the server allows only '
                "its own pages. If you trust that page, start the server with --allowed-origins and its origin."
            )
        await self.app(scope, receive, send)


def sent_origin(scope: Scope) -> str | None:
    return Headers(scope=scope).get("origin") if scope["type"] == "http" else None


def is_own_origin(origin: str, scope: Scope) -> bool:
    """Either scheme is accepted: a proxy in front may speak HTTPS with the browser and HTTP with this server."""
    host = Headers(scope=scope).get("host", "").lower()
    return origin.lower() in (f"http://{host}", f"https://{host}")
