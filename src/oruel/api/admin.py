"""The endpoints for operators, below /v1/admin: accounts, credits and keys. Each needs a key with the scope admin."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.account_objects import (
    NewKeyObject,
    RevocationObject,
    account_list,
    account_object,
    key_list,
    key_object,
)
from oruel.api.body import parse_object, read_body
from oruel.api.query import read_query
from oruel.api.record import record_of
from oruel.api.services import Endpoint, Services
from oruel.contract.kinds import Object, String
from oruel.errors import AuthenticationError
from oruel.ledger.administration import Administration
from oruel.ledger.amount import Amount
from oruel.ledger.caller import ANONYMOUS, Caller
from oruel.ledger.key_terms import TERMS, key_terms
from oruel.ledger.printable import Printable
from oruel.router.catalog import Catalog

MAX_BODY_BYTES = 2**16
# By its id or its name.
ACCOUNT = String(1, 128)

ACCOUNT_BODY = Object({"name": Printable(), "credit": Amount()}, required=("name",))
CREDIT_BODY = Object({"amount": Amount(), "note": Printable(maximum=512)}, required=("amount",))
KEY_BODY = Object({"account": ACCOUNT, **{name: term.kind for name, term in TERMS.items()}}, required=("account",))
KEYS_QUERY = Object({"account": ACCOUNT})


def create_account_endpoint(services: Services) -> Endpoint:
    async def create_account(request: Request) -> Response:
        administration = administration_for(request, services)
        given = await read_fields(request, ACCOUNT_BODY)
        account = await asyncio.to_thread(administration.create_account, given["name"], given.get("credit"))
        return json_answer(account_object(account))

    return create_account


def list_accounts_endpoint(services: Services) -> Endpoint:
    async def list_accounts(request: Request) -> Response:
        administration = administration_for(request, services)
        return json_answer(account_list(await asyncio.to_thread(administration.list_accounts)))

    return list_accounts


def credit_account_endpoint(services: Services) -> Endpoint:
    async def credit_account(request: Request) -> Response:
        administration = administration_for(request, services)
        given = await read_fields(request, CREDIT_BODY)
        account, note = request.path_params["account"], given.get("note", "")
        credited = await asyncio.to_thread(administration.credit_account, account, given["amount"], note)
        return json_answer(account_object(credited))

    return credit_account


def create_key_endpoint(services: Services) -> Endpoint:
    async def create_key(request: Request) -> Response:
        administration = administration_for(request, services)
        given = await read_fields(request, KEY_BODY)
        account = given.pop("account")
        if "models" in given:
            given["models"] = own_names(given["models"], services.catalog)
        created, key = await asyncio.to_thread(administration.create_key, account, key_terms(given))
        return json_answer(NewKeyObject(key=key, details=key_object(created, created.created)))

    return create_key


def list_keys_endpoint(services: Services) -> Endpoint:
    async def list_keys(request: Request) -> Response:
        administration = administration_for(request, services)
        account = read_query(request, KEYS_QUERY).get("account")
        keys = await asyncio.to_thread(administration.list_keys, account)
        return json_answer(key_list(keys, await asyncio.to_thread(administration.now)))

    return list_keys


def revoke_key_endpoint(services: Services) -> Endpoint:
    async def revoke_key(request: Request) -> Response:
        administration = administration_for(request, services)
        revoked, was_revoked = await asyncio.to_thread(administration.revoke_key, request.path_params["key"])
        return json_answer(RevocationObject(was_revoked=was_revoked, details=key_object(revoked, revoked.created)))

    return revoke_key


def administration_for(request: Request, services: Services) -> Administration:
    """Raises AuthenticationError and PermissionDenied."""
    require_admin(record_of(request).caller)
    assert services.administration is not None, "keys with the scope admin come from the store"
    return services.administration


def require_admin(caller: Caller) -> None:
    """Also on an open server. Raises AuthenticationError, PermissionDenied."""
    if caller == ANONYMOUS:
        raise AuthenticationError(
            "This endpoint needs an API key with the scope admin. Send the header Authorization: Bearer KEY."
        )
    caller.require_scope("admin")


async def read_fields(request: Request, kind: Object) -> dict[str, Any]:
    """Raises RequestError."""
    fields: dict[str, Any] = kind.parse(parse_object(await read_body(request, MAX_BODY_BYTES)), "")
    return fields


def own_names(models: tuple[str, ...], catalog: Catalog) -> tuple[str, ...]:
    """The models' own names, for keys allow models by these. Raises ModelNotFound."""
    return tuple(catalog.resolve(name).name for name in models)


def json_answer(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
