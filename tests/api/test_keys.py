"""Keys of the store: who may send requests, with which models and tiers."""

import hashlib
from typing import Any

import pytest

from oruel.ledger.caller import Caller
from oruel.router.catalog import Catalog, ModelCard
from tests.api.conftest import CARD, CHAT, Serve, chat
from tests.api.ledgers import FakeKeys, FakeLedger
from tests.fakes import MODEL, FakeBackend

pytestmark = pytest.mark.anyio

OTHER = ModelCard("other", context=2048, vocabulary_size=1000, created=0, aliases=("alias",))
ADA = Caller("acc_ada", "key_ada", "scope-of-ada")
CALLERS = {
    "ada": ADA,
    "admin": Caller("acc_ada", "key_admin", "scope-of-ada", scopes=("admin",)),
    "demo": Caller("acc_bob", "key_demo", "scope-of-bob", models=(MODEL,), tiers=("standard",)),
}
SERVED: dict[str, Any] = {"keys": FakeKeys(CALLERS), "catalog": Catalog((CARD, OTHER))}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_a_store_without_keys_leaves_the_server_open(serve: Serve) -> None:
    assert (await serve(keys=FakeKeys({}, has_keys=False)).post(CHAT, json=chat())).status_code == 200


async def test_the_first_key_closes_a_running_server(serve: Serve) -> None:
    keys = FakeKeys({}, has_keys=False)
    client = serve(keys=keys)
    assert (await client.get("/openapi.json")).json()["security"] == []
    keys.has_keys = True
    assert (await client.post(CHAT, json=chat())).status_code == 401
    assert (await client.get("/openapi.json")).json()["security"] == [{"key": []}]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/parameters", "/metrics", "/v1/usage", "/nowhere"])
async def test_every_route_needs_a_key_except_the_open_ones(serve: Serve, path: str) -> None:
    client = serve(**SERVED)
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=bearer("ada"))).status_code != 401
    assert (await client.get("/health")).status_code == 200


async def test_the_ledger_and_the_backend_know_the_caller(serve: Serve, backend: FakeBackend) -> None:
    ledger = FakeLedger()
    await serve(**SERVED, ledger=ledger).post(CHAT, json=chat(), headers=bearer("ada"))
    assert ledger.callers == [ADA]
    assert [request.account for request in backend.requests] == ["scope-of-ada"]


async def test_a_key_of_the_settings_goes_on_working_beside_those_of_the_store(serve: Serve) -> None:
    ledger = FakeLedger()
    client = serve(**SERVED, ledger=ledger, api_key_hashes=(hashlib.sha256(b"own").digest(),))
    assert (await client.post(CHAT, json=chat(), headers=bearer("own"))).status_code == 200
    assert (await client.post(CHAT, json=chat(), headers=bearer("ada"))).status_code == 200
    own, ada = ledger.callers
    assert (own.account, own.key, own.scopes) == ("", "", ("inference",))
    assert own.cache_scope not in ("", "own")
    assert ada == ADA


async def test_every_invalid_key_is_refused_alike(serve: Serve) -> None:
    client = serve(**SERVED, api_key_hashes=(hashlib.sha256(b"own").digest(),))
    responses = [await client.post(CHAT, json=chat(), headers=bearer(key)) for key in ("revoked", "oruel_00", "ada2")]
    assert {(one.status_code, one.content) for one in responses} == {(401, responses[0].content)}


@pytest.mark.parametrize("path", [CHAT, "/tokenize"])
async def test_inference_needs_its_scope(serve: Serve, backend: FakeBackend, path: str) -> None:
    response = await serve(**SERVED).post(path, json=chat(), headers=bearer("admin"))
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (403, "permission_error")
    assert "inference" in error["message"]
    assert backend.requests == []


@pytest.mark.parametrize(
    ("body", "param"),
    [(chat(model="other"), "model"), (chat(model="alias"), "model"), (chat(tier="turbo"), "tier")],
)
async def test_a_key_allows_some_models_and_tiers(
    serve: Serve, backend: FakeBackend, body: dict[str, Any], param: str
) -> None:
    client = serve(**SERVED)
    response = await client.post(CHAT, json=body, headers=bearer("demo"))
    assert (response.status_code, response.json()["error"]["param"]) == (403, param)
    assert backend.requests == []
    assert (await client.post(CHAT, json=chat(model="llama-4-maverick"), headers=bearer("demo"))).status_code == 200


async def test_only_allowed_models_are_listed_and_tokenized(serve: Serve) -> None:
    client = serve(**SERVED, tokenizers={MODEL: MODEL, "other": MODEL})
    listed = (await client.get("/v1/models", headers=bearer("demo"))).json()["data"]
    assert {model["id"] for model in listed} == {MODEL, "llama-4-maverick"}
    assert len((await client.get("/v1/models", headers=bearer("ada"))).json()["data"]) == 4
    for name in ("other", "alias"):
        assert (await client.get(f"/v1/models/{name}", headers=bearer("demo"))).status_code == 403
        tokenized = await client.post("/tokenize", json={"text": "a", "model": name}, headers=bearer("demo"))
        assert tokenized.status_code == 403
