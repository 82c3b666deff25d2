"""The OpenAPI operations of usage, accounts and keys."""

from typing import Any

from oruel.api import admin
from oruel.api.failures import responses_schema
from oruel.api.openapi import json_body, json_operation
from oruel.api.query import query_parameters
from oruel.api.services import Endpoint, Services
from oruel.api.usage import USAGE_QUERY
from oruel.contract.kinds import Object

WITH_BODY = (408, 413, 415)
MEANINGS = {"missing": "404", "conflict": "409"}
ACCOUNTS, KEYS = "/v1/admin/accounts", "/v1/admin/keys"
NO_QUERY = Object({})
NO_ACCOUNT = "The account does not exist"

Operation = dict[str, Any]


def usage_operation() -> Operation:
    return describe("UsageReport", query=USAGE_QUERY, missing=f"{NO_ACCOUNT}, or the server has no store")


def admin_endpoints(services: Services) -> list[tuple[str, str, Endpoint, Operation]]:
    """Methods, paths, endpoints and operations."""
    created = describe("AccountObject", body="AccountRequest", conflict="There is an account of this name")
    credited = describe("AccountObject", path="account", body="CreditRequest", missing=NO_ACCOUNT)
    keys = describe("KeyList", query=admin.KEYS_QUERY, missing=NO_ACCOUNT)
    new_key = describe("NewKeyObject", body="KeyRequest", missing="The account or a model does not exist")
    revoked = describe("RevocationObject", path="key", missing="The key does not exist")
    return [
        ("GET", ACCOUNTS, admin.list_accounts_endpoint(services), describe("AccountList")),
        ("POST", ACCOUNTS, admin.create_account_endpoint(services), created),
        ("POST", f"{ACCOUNTS}/{{account}}/credits", admin.credit_account_endpoint(services), credited),
        ("GET", KEYS, admin.list_keys_endpoint(services), keys),
        ("POST", KEYS, admin.create_key_endpoint(services), new_key),
        ("DELETE", f"{KEYS}/{{key}}", admin.revoke_key_endpoint(services), revoked),
    ]


def describe(
    answer: str, *, path: str | None = None, query: Object = NO_QUERY, body: str | None = None, **meanings: str
) -> Operation:
    """`answer` and `body` name schemas, `path` names the parameter in the path. `meanings`: what the responses with
    status 404 (missing) and 409 (conflict) mean.
    """
    responses = json_operation(answer)["responses"] | (responses_schema(*WITH_BODY) if body else {})
    described = {MEANINGS[name]: responses["400"] | {"description": meaning} for name, meaning in meanings.items()}
    named = [] if path is None else [path_parameter(path)]
    return {
        "parameters": [*named, *query_parameters(query)],
        "responses": responses | described,
        **({"requestBody": json_body(body)} if body else {}),
    }


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
