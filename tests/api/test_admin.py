"""Usage, accounts and keys over HTTP, with real keys in a real store."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.keyring import Keyring
from tests.api.conftest import Client, Serve
from tests.fakes import MODEL
from tests.ledger.request_rows import record

pytestmark = pytest.mark.anyio

ACCOUNTS, KEYS, USAGE = "/v1/admin/accounts", "/v1/admin/keys", "/v1/usage"
ENDPOINTS = [
    ("GET", ACCOUNTS), ("POST", ACCOUNTS), ("POST", f"{ACCOUNTS}/acct_0/credits"),
    ("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/key_0"),
]  # fmt: skip
USD = 10**12
# The key of --api-key, which isn't in the store.
OUTSIDE = "outside-the-store"
OPERATORS_OWN = hashlib.sha256(OUTSIDE.encode()).digest()


@dataclass(frozen=True)
class Office:
    """A store with the account team, which has a key with the scope admin and one without."""

    database: Database
    keyring: Keyring
    administration: Administration
    admin: str
    plain: str


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    database, secret = Database.open(str(tmp_path / "ledger.db")), KeySecret(b"s" * 32)
    keyring = Keyring(database, secret)
    administration = Administration(database, secret, keyring.refresh)
    administration.create_account("team", 10 * USD)
    _, admin = administration.create_key("team", KeyTerms(scopes=("admin",)))
    _, plain = administration.create_key("team", KeyTerms(name="plain"))
    yield Office(database, keyring, administration, admin, plain)
    database.close()


@pytest.fixture
def admin(serve: Serve, office: Office) -> Client:
    return client_with(serve, office, office.admin)


@pytest.fixture
def plain(serve: Serve, office: Office) -> Client:
    return client_with(serve, office, office.plain)


def client_with(serve: Serve, office: Office, key: str | None) -> Client:
    client = serve(keys=office.keyring, administration=office.administration, api_key_hashes=(OPERATORS_OWN,))
    if key is not None:
        client.headers["authorization"] = f"Bearer {key}"
    return client


async def test_an_account_is_created_credited_and_listed(admin: Client) -> None:
    created = (await admin.post(ACCOUNTS, json={"name": "Größe", "credit": "1.50"})).json()
    assert (created["object"], created["name"], created["balance"], created["reserved"]) == (
        "account", "Größe", "1.5", "0",
    )  # fmt: skip
    credited = await admin.post(f"{ACCOUNTS}/{created['id']}/credits", json={"amount": "0.000000000001", "note": "x"})
    assert credited.json() == created | {"balance": "1.500000000001"}
    listed = (await admin.get(ACCOUNTS)).json()
    assert listed["object"] == "list"
    assert listed["data"][1] == credited.json()


async def test_a_new_key_works_at_once_until_it_is_revoked(serve: Serve, office: Office, admin: Client) -> None:
    body = {"account": "team", "scopes": ["admin"], "name": "robot", "day_limit": "5", "expires": "2999-01-01"}
    created = (await admin.post(KEYS, json=body)).json()
    details = created["details"]
    assert (details["day_limit"], details["expires"], details["status"]) == ("5", "2999-01-01T00:00:00Z", "active")
    robot = client_with(serve, office, created["key"])
    assert (await robot.get(ACCOUNTS)).status_code == 200
    revoked = (await admin.delete(f"{KEYS}/{details['id']}")).json()
    assert (revoked["was_revoked"], revoked["details"]["status"]) == (False, "revoked")
    assert (await robot.get(ACCOUNTS)).status_code == 401
    again = (await admin.delete(f"{KEYS}/{details['id']}")).json()
    assert again == revoked | {"was_revoked": True}


async def test_only_the_answer_to_its_creation_has_the_key(office: Office, admin: Client) -> None:
    with capture_logs() as logs:
        key = (await admin.post(KEYS, json={"account": "team"})).json()["key"]
        listed = (await admin.get(KEYS, params={"account": "team"})).text
    secret = key.removeprefix("oruel_")
    for text in (listed, str(logs), json.dumps((await admin.get("/openapi.json")).json())):
        assert secret not in text
    assert key[-4:] in listed
    assert KeySecret(b"s" * 32).digest(key) not in listed


async def test_a_key_allows_models_by_their_own_names(admin: Client) -> None:
    created = (await admin.post(KEYS, json={"account": "team", "models": ["llama-4-maverick", MODEL]})).json()
    assert created["details"]["models"] == [MODEL]
    unknown = await admin.post(KEYS, json={"account": "team", "models": ["gpt-9"]})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_admin_endpoints_need_a_key_with_the_scope_admin(
    method: str, path: str, serve: Serve, office: Office, plain: Client
) -> None:
    for client, status, kind in (
        (serve(), 401, "authentication_error"),
        (serve(administration=office.administration), 401, "authentication_error"),
        (client_with(serve, office, None), 401, "authentication_error"),
        (client_with(serve, office, OUTSIDE), 403, "permission_error"),
        (plain, 403, "permission_error"),
    ):
        response = await client.request(method, path, json={"name": "x"})
        assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert len(office.administration.list_accounts()) == 1


async def test_a_method_that_a_path_does_not_support_is_405_with_all_that_it_supports(admin: Client) -> None:
    response = await admin.delete(ACCOUNTS)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")
    assert "This path supports GET, HEAD, POST." in response.json()["error"]["message"]


REFUSED: list[tuple[str, str, Any, int, str | None]] = [
    ("POST", ACCOUNTS, {}, 400, "name"),
    ("POST", ACCOUNTS, {"name": "team"}, 409, "name"),
    ("POST", ACCOUNTS, {"name": "a\n"}, 400, "name"),
    ("POST", ACCOUNTS, {"name": "a", "credit": 0}, 400, "credit"),
    ("POST", ACCOUNTS, {"name": "a", "credit": 0.5}, 400, "credit"),
    ("POST", ACCOUNTS, {"name": "a", "balance": "1"}, 400, "balance"),
    ("POST", ACCOUNTS, [], 400, None),
    ("POST", f"{ACCOUNTS}/nobody/credits", {"amount": "1"}, 404, "account"),
    ("POST", f"{ACCOUNTS}/team/credits", {"amount": "-1"}, 400, "amount"),
    ("POST", f"{ACCOUNTS}/team/credits", {"amount": "1000000"}, 400, "amount"),
    ("POST", f"{ACCOUNTS}/team/credits", {"amount": "1", "node": "x"}, 400, "node"),
    ("POST", KEYS, {"name": "x"}, 400, "account"),
    ("POST", KEYS, {"account": "nobody"}, 404, "account"),
    ("POST", KEYS, {"account": "team", "requests_per_minute": 0}, 400, "requests_per_minute"),
    ("POST", KEYS, {"account": "team", "month_limit": "0"}, 400, "month_limit"),
    ("POST", KEYS, {"account": "team", "expires": "2001-01-01"}, 400, "expires"),
    ("POST", KEYS, {"account": "team", "tiers": ["fast"]}, 400, "tiers[0]"),
    ("POST", KEYS, {"account": "team", "scope": "admin"}, 400, "scope"),
    ("GET", f"{KEYS}?account=nobody", None, 404, "account"),
    ("GET", f"{KEYS}?acount=team", None, 400, "acount"),
    ("DELETE", f"{KEYS}/key_0", None, 404, "key"),
    ("GET", f"{USAGE}?from=yesterday", None, 400, "from"),
    ("GET", f"{USAGE}?from=2026-11-28&to=2026-11-27", None, 400, "from"),
    ("GET", f"{USAGE}?by=day&by=model", None, 400, "by"),
    ("GET", f"{USAGE}?by=hour", None, 400, "by"),
    ("GET", f"{USAGE}?account=nobody", None, 404, "account"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "param"), REFUSED)
async def test_a_refusal_names_the_field_and_changes_nothing(
    method: str, path: str, body: Any, status: int, param: str | None, office: Office, admin: Client
) -> None:
    before = (office.administration.list_accounts(), office.administration.list_keys())
    response = await admin.request(method, path, json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)
    assert (office.administration.list_accounts(), office.administration.list_keys()) == before


async def test_a_key_sees_its_own_usage(serve: Serve, office: Office, admin: Client, plain: Client) -> None:
    use(office)
    report = (await plain.get(USAGE, params={"by": "model,tier", "from": "2026-11-28"})).json()
    assert report["from"] == "2026-11-28"
    assert report["data"] == [
        {"model": "demo", "tier": "turbo", "requests": 1, "prompt_tokens": 7, "cached_tokens": 0,
         "completion_tokens": 0, "price": "0.25",
         "statuses": {"open": 0, "finished": 1, "error": 0, "disconnect": 0, "crashed": 0}}
    ]  # fmt: skip
    assert (await plain.get(USAGE)).json()["total"]["price"] == "3.25"
    assert (await admin.get(USAGE)).json()["data"] == []


async def test_an_admin_sees_any_account_and_what_it_cost(office: Office, admin: Client, plain: Client) -> None:
    use(office)
    refused = await plain.get(USAGE, params={"account": "team"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    total = (await admin.get(USAGE, params={"account": "team"})).json()["total"]
    assert (total["requests"], total["price"], total["cost"]) == (3, "7.25", "1")


async def test_without_a_key_of_the_store_usage_is_that_of_requests_without_one(serve: Serve, office: Office) -> None:
    use(office)
    for client in (serve(administration=office.administration), client_with(serve, office, OUTSIDE)):
        total = (await client.get(USAGE)).json()["total"]
        assert (total["requests"], total["price"]) == (1, "0")
    assert (await client_with(serve, office, None).get(USAGE)).status_code == 401


async def test_without_a_store_usage_is_404(client: Client) -> None:
    response = await client.get(USAGE)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


async def test_answers_match_the_openapi_document(office: Office, admin: Client) -> None:
    use(office)
    document = (await admin.get("/openapi.json")).json()
    for method, path, body, template in (
        ("POST", ACCOUNTS, {"name": "new"}, ACCOUNTS),
        ("POST", f"{ACCOUNTS}/new/credits", {"amount": 5}, f"{ACCOUNTS}/{{account}}/credits"),
        ("GET", ACCOUNTS, None, ACCOUNTS),
        ("POST", KEYS, {"account": "new"}, KEYS),
        ("GET", KEYS, None, KEYS),
        ("DELETE", f"{KEYS}/{office.administration.list_keys()[1].id}", None, f"{KEYS}/{{key}}"),
        ("GET", f"{USAGE}?account=team", None, USAGE),
    ):
        operation = document["paths"][template][method.lower()]
        response = await admin.request(method, path, json=body)
        described = operation["responses"][str(response.status_code)]["content"]["application/json"]["schema"]
        whole = described | {"components": document["components"]}
        Draft202012Validator(whole).validate(response.json())
        if body is not None:
            accepted = operation["requestBody"]["content"]["application/json"]["schema"]
            Draft202012Validator(accepted | {"components": document["components"]}).validate(body)


def use(office: Office) -> None:
    """Three requests of the account: two with the plain key, one with a key that is gone; and one without a key."""
    [_, plain] = office.administration.list_keys()
    other, _ = office.administration.create_key("team", KeyTerms())
    with office.database.transaction() as connection:
        own = {"account": plain.account, "key": plain.id}
        record(connection, day="2026-11-27", price=3 * USD, **own)
        record(connection, day="2026-11-28", tier="turbo", price=USD // 4, prompt_tokens=7, **own)
        record(connection, day="2026-11-28", price=4 * USD, cost=USD, account=other.account, key=other.id)
        record(connection, day="2026-11-28")
