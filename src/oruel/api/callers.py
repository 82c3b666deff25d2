"""Who sent a request: the middleware that checks keys notes it."""

from starlette.requests import Request

from oruel.errors import AuthenticationError
from oruel.ledger.caller import ANONYMOUS, Caller

SCOPE_KEY = "oruel.caller"


def caller_of(request: Request) -> Caller:
    caller = request.scope.get(SCOPE_KEY, ANONYMOUS)
    assert isinstance(caller, Caller)
    return caller


def require_admin(caller: Caller) -> None:
    """Also on an open server: what needs the scope admin needs a key. Raises AuthenticationError, PermissionDenied."""
    if caller == ANONYMOUS:
        raise AuthenticationError(
            "This endpoint needs an API key with the scope admin. Send the header Authorization: Bearer KEY."
        )
    caller.require_scope("admin")
