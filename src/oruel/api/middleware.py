"""The middleware around every endpoint: request records, errors, HEAD, and checks of host and key."""

import hashlib
import hmac
import re
import secrets
import time

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oruel.addresses import is_loopback
from oruel.api import web
from oruel.api.edge import ABORTED_FOR
from oruel.api.failures import error_response, translate
from oruel.api.metrics import Metrics
from oruel.api.rate_headers import rate_limit_headers
from oruel.api.record import SCOPE_KEY, RequestRecord, header_text, record_in
from oruel.contract.kinds import abbreviate
from oruel.errors import AuthenticationError, HostRefused
from oruel.ledger.base import Keys
from oruel.ledger.caller import Caller

log = structlog.get_logger("oruel.access")

VALID_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OPEN_PATHS = ("/health", "/docs", "/openapi.json", web.PAGE)


class RecordRequests:
    """Gives each request an id, the caller's if it is valid. Writes one log line and the metrics at its end."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = scope[SCOPE_KEY] = RequestRecord(request_id(Headers(scope=scope).get("x-request-id", "")))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *own_headers(record)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self.metrics.observe(record)
            log_request(scope, record)


def own_headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    headers = {"x-request-id": record.id}
    if record.deployment:
        headers["x-oruel-deployment"] = header_text(record.deployment)
    if record.entry:
        headers |= rate_limit_headers(record.entry.opened)
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def request_id(sent: str) -> str:
    return sent if VALID_ID.fullmatch(sent) else f"req-{secrets.token_hex(12)}"


def log_request(scope: Scope, record: RequestRecord) -> None:
    optional = {
        "model": record.model,
        "tier": record.tier,
        "deployment": record.deployment or None,
        "completion": record.completion,
        "prompt_tokens": record.usage and record.usage.prompt_tokens,
        "completion_tokens": record.usage and record.usage.completion_tokens,
        "error": record.error,
        **record.recorded,
    }
    log.info(
        "request",
        request_id=record.id,
        method=scope["method"],
        path=abbreviate(scope["path"], 120),
        status=record.status,
        seconds=round(time.perf_counter() - record.started, 4),
        **{name: value for name, value in optional.items() if value is not None},
    )


class AnswerErrors:
    """Answers exceptions with an error response, unless the headers were sent already or the client disconnected."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except ClientDisconnect:
            record_in(scope).error = scope.get("state", {}).get(ABORTED_FOR, "client_left")
        except Exception as error:
            if started:
                raise
            await error_response(translate(error, record_in(scope)))(scope, receive, send)


class HeadAsGet:
    """Handles HEAD as GET. The HTTP server omits the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        as_get = scope["type"] == "http" and scope["method"] == "HEAD"
        await self.app({**scope, "method": "GET"} if as_get else scope, receive, send)


class CheckHost:
    """Refuses requests whose Host header names another host. This prevents DNS rebinding, by which a web page
    reaches this server under its own name.
    """

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self.app = app
        self.allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "*" not in self.allowed:
            sent = Headers(scope=scope).get("host", "")
            host = host_name(sent)
            if host not in self.allowed and not is_loopback(host):
                raise HostRefused(
                    f'The Host header is "{abbreviate(sent)}", which is not allowed. Use localhost, or ask the '
                    "operator to add the name to allowed_hosts."
                )
        await self.app(scope, receive, send)


def host_name(header: str) -> str:
    """The host in lower case, without the port and without the brackets of IPv6."""
    name = header.partition("]")[0][1:] if header.startswith("[") else header.rpartition(":")[0] or header
    return name.lower().removesuffix(".")


def is_open(path: str) -> bool:
    """Whether the path needs no key: a browser sends none with the request for a page."""
    return path in OPEN_PATHS or path.startswith(web.FOLDER)


class CheckKey:
    """Accepts `Authorization: Bearer KEY` if KEY is among `keys`, or its SHA-256 among `hashes`. If both are empty,
    accepts every request.
    """

    def __init__(self, app: ASGIApp, hashes: tuple[bytes, ...], keys: Keys) -> None:
        self.app = app
        self.hashes = hashes
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_required = bool(self.hashes) or self.keys.has_keys
        if scope["type"] == "http" and is_required and not is_open(scope["path"]):
            scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not key.strip():
                raise AuthenticationError("The API key is missing. Send the header Authorization: Bearer KEY.")
            record_in(scope).caller = self._caller(key.strip())
        await self.app(scope, receive, send)

    def _caller(self, key: str) -> Caller:
        """Does the same work for every invalid key, so that the time doesn't reveal why it is invalid."""
        # Headers are decoded as Latin-1, so this restores the original bytes.
        sent = hashlib.sha256(key.encode("latin-1")).digest() if self.hashes else b""
        # Compares all hashes, so that the time doesn't reveal which one matched.
        is_known = sum(hmac.compare_digest(sent, known) for known in self.hashes) > 0
        found = self.keys.find(key)
        if found is None and not is_known:
            raise AuthenticationError("The API key is not valid. Ask the operator for a key.")
        return found or Caller(cache_scope=sent.hex()[:16])
