"""Who sent a request, as the middleware that checks keys has noted in its record."""

from starlette.requests import Request

from oruel.api.record import record_of
from oruel.errors import AuthenticationError
from oruel.ledger.caller import ANONYMOUS, Caller


def caller_of(request: Request) -> Caller:
    return record_of(request).caller


def require_admin(caller: Caller) -> None:
    """Also on an open server: what needs the scope admin needs a key. Raises AuthenticationError, PermissionDenied."""
    if caller == ANONYMOUS:
        raise AuthenticationError(
            "This endpoint needs an API key with the scope admin. Send the header Authorization: Bearer KEY."
        )
    caller.require_scope("admin")
