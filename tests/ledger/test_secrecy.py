"""Nobody learns keys, or the names of accounts, from what the server sends or logs."""

import hashlib
import hmac
import logging
from collections import Counter
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from oruel.ledger import keyring
from oruel.ledger.changes import note_change
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret, new_key
from oruel.ledger.tables import keys
from tests.ledger.gateway import CHAT, SECRET, USD, Gateway, answering, body, stubbed_gateway
from tests.stub_server import status

pytestmark = pytest.mark.anyio

ACCOUNT = "Hidden Customer Ltd"
KEY_NAME = "name-of-the-key"
NOTE = "note of the credit"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def location(tmp_path: Any) -> str:
    return str(tmp_path / "ledger.db")


def add_keys(server: Gateway) -> dict[str, str]:
    """A valid key, and one of each kind that isn't."""
    valid, revoked = server.add_key(ACCOUNT, credit=USD, name=KEY_NAME), server.add_key(ACCOUNT)
    server.administration.credit_account(ACCOUNT, 1, note=NOTE)
    expired = server.add_key(ACCOUNT)
    secret = KeySecret(SECRET.encode())
    with server.store.transaction() as connection:
        connection.execute(update(keys).where(keys.c.digest == secret.digest(expired)).values(expires=1))
    stored = next(one for one in server.administration.list_keys() if one.hint == revoked[-4:])
    server.administration.revoke_key(stored.id)
    made = {"valid": valid, "revoked": revoked, "expired": expired}
    return made | {"unknown": new_key(), "malformed": "sk-of another-shape", "long": "oruel_" + "0" * 5000}


INVALID = ("revoked", "expired", "unknown", "malformed", "long")


async def test_every_invalid_key_costs_the_same_and_asks_the_store_nothing(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the clock: the same calls on data of the same size. bench/key_checks.py measures the time."""
    steps: Counter[object] = Counter()

    def counted(name: str, original: Any) -> Any:
        def call(*given: Any) -> Any:
            sizes = [len(one) for one in given if isinstance(one, str | bytes)] if name == "compare" else []
            steps[name, *sizes] += 1
            return original(*given)

        return call

    async with stubbed_gateway(location) as server:
        made = add_keys(server)
        monkeypatch.setattr(KeySecret, "digest", counted("digest", KeySecret.digest))
        monkeypatch.setattr(keyring, "compare_digest", counted("compare", hmac.compare_digest))
        monkeypatch.setattr(Database, "reading", counted("store", Database.reading))
        monkeypatch.setattr(Database, "transaction", counted("store", Database.transaction))
        ring: Any = server.books.keys
        found = {}
        for kind in ("valid", *INVALID):
            steps.clear()
            found[kind] = ring.find(made[kind])
            assert steps == {("digest",): 1, ("compare", 64, 64): 1}, kind
        assert [kind for kind, caller in found.items() if caller] == ["valid"]
        answers = set()
        for kind in INVALID:
            response = await server.client(made[kind]).post(CHAT, json=body())
            answers.add((response.status_code, response.content, tuple(sorted(response.headers.keys()))))
        assert len(answers) == 1, "the answer doesn't tell why a key is invalid"
        assert (server.rows(), server.stub.bodies) == ([], [])


async def use_and_misuse(server: Gateway, made: dict[str, str]) -> list[httpx2.Response]:
    """Requests that succeed, fail and are refused, with all keys, and with keys where none belong."""
    valid = server.client(made["valid"])
    responses = [await server.client(made[kind]).post(CHAT, json=body()) for kind in made]
    responses += [await valid.post(CHAT, json=body(stream=stream)) for stream in (False, True)]
    server.stub.script = status(500, "{}")
    responses += [await valid.post(CHAT, json=body()), await valid.post(CHAT, json=body(nonsense=1))]
    server.stub.script = answering()
    headers = {"idempotency-key": "k" * 300}
    responses += [await valid.post(CHAT, json=body(), headers=headers), await valid.post(CHAT, content=b"{")]
    for path in ("/metrics", "/openapi.json", "/health", "/docs", "/v1/models", "/v1/usage", "/v1/parameters", "/x"):
        responses.append(await valid.get(path))
    responses += [await valid.get("/v1/usage", params={"account": ACCOUNT}), await valid.get("/admin/accounts")]
    responses += [await server.client().get("/v1/models", headers={"authorization": f"Basic {made['valid']}"})]
    return responses


async def test_no_key_and_no_account_is_logged_sent_or_measured(
    location: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with stubbed_gateway(location) as server:
        made = add_keys(server)
        with capture_logs() as logs:
            responses = await use_and_misuse(server, made)
        said = " ".join([*map(str, logs), caplog.text])
        sent = " ".join(f"{response.headers} {response.text}" for response in responses)
        upstream = " ".join([*(head.decode() for head in server.stub.heads), *map(str, server.stub.bodies)])
        ids = {one.id for one in server.administration.list_keys()} | {
            one.id for one in server.administration.list_accounts()
        }
    assert len(logs) > 20
    assert len(server.stub.bodies) > 3
    secrets = {*made.values(), SECRET, *(KeySecret(SECRET.encode()).digest(key) for key in made.values())}
    secrets |= {hashlib.sha256(key.encode()).hexdigest() for key in made.values()}
    for secret in secrets:
        assert secret not in said
        assert secret not in sent
        assert secret not in upstream
    for name in (ACCOUNT, KEY_NAME, NOTE, *ids):
        assert name not in said
        assert name not in upstream
        assert name not in sent


async def test_prefix_caches_are_told_apart_without_naming_accounts(location: str) -> None:
    async with stubbed_gateway(location) as server:
        ada, ada_too, bob = (server.add_key(name) for name in ("ada", "ada", "bob"))
        callers: list[Any] = [server.books.keys.find(key) for key in (ada, ada_too, bob)]
    scopes = [caller.cache_scope for caller in callers]
    assert scopes[0] == scopes[1] != scopes[2]
    for caller in callers:
        assert caller.account not in caller.cache_scope
        plain = hashlib.sha256(caller.account.encode()).hexdigest()
        assert caller.cache_scope not in plain, "who knows the account can't compute its scope"


async def test_an_error_of_the_store_names_neither_the_store_nor_a_value(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an error that nobody expects, whose text may hold SQL and values."""

    def fail(*_: Any) -> Any:
        raise ValueError(f"near 'SELECT' at {location}: {ACCOUNT}")

    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(ACCOUNT))
        monkeypatch.setattr(Database, "reading", fail)
        response = await client.get("/v1/usage")
    assert response.status_code == 500
    assert not {part for part in (ACCOUNT, location, "SELECT") if part in response.text}


async def test_whoever_writes_to_the_store_makes_no_key_without_the_secret(location: str) -> None:
    """Nor does a digest that was read there serve as a key."""
    async with stubbed_gateway(location) as server:
        made, forged = server.add_key(ACCOUNT), new_key()
        digests = [forged, hashlib.sha256(forged.encode()).hexdigest(), KeySecret(b"").digest(forged)]
        with server.store.transaction() as connection:
            row = dict(connection.execute(select(keys)).mappings().one())
            copies = [row | {"id": f"key_{digest}", "digest": digest} for digest in digests]
            connection.execute(insert(keys), copies)
            note_change(connection)
        ring: Any = server.books.keys
        ring.refresh()
        for key in (forged, row["digest"], *digests, row["id"]):
            assert ring.find(key) is None
        assert ring.find(made)
