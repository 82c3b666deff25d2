"""Idempotency-Key as a client sees it, on both stores: one answer and one charge for each key."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from oruel.ledger.idempotency import LIFETIME
from oruel.ledger.instances import Instance
from oruel.ledger.tables import idempotency
from tests.fakes import until
from tests.ledger.gateway import (
    CHAT,
    PRICE,
    SECRET,
    USD,
    Gateway,
    answering,
    body,
    catalog_text,
    gateway,
    stubbed_gateway,
)
from tests.server import oruel_serve
from tests.stub_server import HANG, HEAD, Part, Stub, chunk, event, status, stub_server

pytestmark = pytest.mark.anyio

KEYED = {"idempotency-key": "order 66"}
WHOLE_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def file_location(tmp_path: Path) -> str:
    return str(tmp_path / "ledger.db")


async def ask(client: httpx2.AsyncClient, key: str = KEYED["idempotency-key"], **fields: Any) -> httpx2.Response:
    return await client.post(CHAT, json=body(**fields), headers={"idempotency-key": key})


def code_of(response: httpx2.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["param"]


CONFLICT = (409, "idempotency_conflict", "Idempotency-Key")


@WHOLE_AND_STREAMED
async def test_the_same_request_gets_the_same_bytes_and_is_charged_once(store_location: str, stream: bool) -> None:
    async with stubbed_gateway(store_location) as server:
        client = server.client(server.add_key(credit=USD))
        first = await ask(client, stream=stream)
        server.stub.script = answering(1, 1, 1)
        again = await ask(client, stream=stream)
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.content == again.content
        assert first.headers["content-type"] == again.headers["content-type"]
        assert ("x-oruel-replayed" in first.headers, again.headers["x-oruel-replayed"]) == (False, "true")
        (row,) = server.rows()
        assert (row.price, server.balance()) == (PRICE, USD - PRICE)
        assert len(server.stub.bodies) == 1


async def test_a_repeated_answer_needs_neither_balance_nor_limits(file_location: str) -> None:
    async with stubbed_gateway(file_location) as server:
        client = server.client(server.add_key(credit=USD, requests_per_minute=1))
        first = await ask(client)
        assert (await ask(client, key="another")).status_code == 429
        assert (await ask(client)).content == first.content
        assert len(server.rows()) == 1


async def test_another_body_with_the_same_key_is_refused(store_location: str) -> None:
    async with stubbed_gateway(store_location) as server:
        client = server.client(server.add_key(credit=USD))
        await ask(client)
        for change in ({"seed": 1}, {"stream": True}, {"model": "vendor/alias"}, {"n": 2}):
            assert code_of(await ask(client, **change)) == CONFLICT
        elsewhere = await client.post("/v1/inference/chat/completions", json=body(), headers=KEYED)
        assert code_of(elsewhere) == CONFLICT
        assert (len(server.rows()), server.balance()) == (1, USD - PRICE)
        assert (await ask(client)).status_code == 200


@WHOLE_AND_STREAMED
async def test_a_request_that_is_still_being_answered_is_refused(store_location: str, stream: bool) -> None:
    async with stubbed_gateway(store_location, [HEAD, chunk("x"), HANG]) as server:
        client = server.client(server.add_key(credit=USD))
        running = asyncio.create_task(ask(client, stream=stream))
        await until(lambda: server.backend.deltas > 0)
        assert code_of(await ask(client, stream=stream)) == CONFLICT
        running.cancel()
        await server.settled(1)
        server.stub.script = answering()
        assert (await ask(client, stream=stream)).status_code == 200, "the client had left without an answer"
        assert [row.status for row in server.rows()] == ["disconnect", "finished"]


async def test_a_client_that_left_right_after_the_last_token_gets_the_whole_answer_later(store_location: str) -> None:
    async with stubbed_gateway(store_location) as server:
        client = server.client(server.add_key(credit=USD))
        seen = ""
        async with client.stream("POST", CHAT, json=body(stream=True), headers=KEYED) as response:
            async for text in response.aiter_text():
                seen += text
                if '"finish_reason":"stop"' in seen:
                    break
        await server.settled(1)
        again = await ask(client, stream=True)
        assert again.text.startswith(seen)
        assert again.text.endswith("data: [DONE]\n\n")
        assert (len(server.rows()), server.balance()) == (1, USD - PRICE)


ENDINGS: dict[str, list[Part]] = {
    "an error status": status(500, "{}"),
    "an error in the stream": [HEAD, chunk("x"), 0.01, event({"error": {"message": "no"}})],
    "a refusal": status(400, '{"error": {"message": "no"}}'),
}


@WHOLE_AND_STREAMED
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_request_that_failed_is_answered_anew(file_location: str, ending: str, stream: bool) -> None:
    async with stubbed_gateway(file_location, ENDINGS[ending]) as server:
        client = server.client(server.add_key(credit=USD))
        await ask(client, stream=stream)
        await server.settled(1)
        server.stub.script = answering()
        first, again = await ask(client, stream=stream), await ask(client, stream=stream)
        assert first.status_code == 200
        assert first.content == again.content
        assert [row.status for row in server.rows()] == ["error", "finished"]
        assert server.balance() == USD - PRICE


async def test_a_refused_request_leaves_its_key_free(file_location: str) -> None:
    async with stubbed_gateway(file_location) as server:
        client = server.client(server.add_key(credit=1))
        assert (await ask(client)).status_code == 402
        server.administration.credit_account("ada", USD)
        assert (await ask(client)).status_code == 200
        assert len(server.rows()) == 1


async def test_after_24_hours_a_key_is_free_again(store_location: str) -> None:
    async with stubbed_gateway(store_location) as server:
        client = server.client(server.add_key(credit=USD))
        first = await ask(client)
        make_older(server, LIFETIME - 60 * 10**6)
        assert (await ask(client)).content == first.content
        make_older(server, 60 * 10**6)
        later = await ask(client)
        assert (later.status_code, later.json()["id"] != first.json()["id"]) == (200, True)
        assert (await ask(client)).content == later.content
        assert (len(server.rows()), server.balance()) == (2, USD - 2 * PRICE)


async def test_a_stored_answer_goes_after_24_hours_even_if_nobody_asks(store_location: str) -> None:
    """Whoever reads the store or its backups finds no older answers."""
    async with stubbed_gateway(store_location) as server:
        await ask(server.client(server.add_key(credit=USD)))
        instance = Instance(server.store)
        instance.register()
        for age, left in ((LIFETIME - 60 * 10**6, 1), (60 * 10**6, 0)):
            make_older(server, age)
            instance.renew()
            with server.store.reading() as connection:
                assert len(connection.execute(select(idempotency)).all()) == left
        assert [row.price for row in server.rows()] == [PRICE]


def make_older(server: Gateway, microseconds: int) -> None:
    with server.store.transaction() as connection:
        connection.execute(update(idempotency).values(created=idempotency.c.created - microseconds))


async def test_accounts_do_not_see_the_keys_of_one_another(store_location: str) -> None:
    async with stubbed_gateway(store_location) as server:
        ada, ada_too, bob = (server.client(server.add_key(name, credit=USD)) for name in ("ada", "ada", "bob"))
        mine, theirs = await ask(ada), await ask(bob)
        assert mine.json()["id"] != theirs.json()["id"]
        assert (await ask(ada_too)).content == mine.content
        assert code_of(await ask(ada_too, seed=1)) == CONFLICT
        assert (await ask(bob)).content == theirs.content
        assert (server.balance("ada"), server.balance("bob")) == (USD - PRICE, USD - PRICE)


INVALID = [b"", b"k" * 256, "clé".encode(), b"tab\tinside", "名".encode()]


async def test_an_invalid_key_is_refused_by_name(file_location: str) -> None:
    async with stubbed_gateway(file_location) as server:
        client = server.client(server.add_key(credit=USD))
        for key in INVALID:
            response = await client.post(CHAT, json=body(), headers=[(b"idempotency-key", key)])
            assert code_of(response) == (400, "invalid_value", "Idempotency-Key")
        twice = [(b"idempotency-key", b"a"), (b"idempotency-key", b"b")]
        assert code_of(await client.post(CHAT, json=body(), headers=twice)) == (400, "invalid_value", "Idempotency-Key")
        assert (server.rows(), server.stub.bodies) == ([], [])
        assert (await ask(client, key="k" * 255)).status_code == 200


@pytest.mark.parametrize("servers", [1, 2])
async def test_of_twenty_duplicates_at_once_one_is_answered_and_charged(store_location: str, servers: int) -> None:
    async with stub_server([HEAD, 0.1, *answering()[1:]]) as stub, gateway(store_location, stub) as first:
        key = first.add_key(credit=USD)
        async with gateway(store_location, stub) as second:
            clients = [server.client(key) for server in (first, second)[:servers]]
            await check_duplicates(stub, clients)
            (row,) = first.rows()
            assert (row.status, row.price, first.balance()) == ("finished", PRICE, USD - PRICE)


async def check_duplicates(stub: Stub, clients: list[httpx2.AsyncClient]) -> None:
    responses = await asyncio.gather(*(ask(clients[number % len(clients)]) for number in range(20)))
    statuses = Counter(response.status_code for response in responses)
    assert statuses.keys() <= {200, 409}
    assert len(stub.bodies) == 1
    answers = {response.content for response in responses if response.status_code == 200}
    assert answers | {(await ask(client)).content for client in clients} == answers
    assert len(answers) == 1


@pytest.mark.slow
@pytest.mark.parametrize("store_location", ["postgresql"], indirect=True)
async def test_of_twenty_duplicates_in_two_processes_one_is_answered_and_charged(
    store_location: str, tmp_path: Path
) -> None:
    async with stub_server([HEAD, 0.3, *answering()[1:]]) as stub, gateway(store_location, stub) as here:
        key = here.add_key(credit=USD)
        (tmp_path / "catalog.toml").write_text(catalog_text([stub.base_url], "oruel"))
        environment = {"ORUEL_STORE": store_location, "ORUEL_KEY_SECRET": SECRET}
        flags = ("--catalog", str(tmp_path / "catalog.toml"))
        bearer = {"authorization": f"Bearer {key}"}
        with oruel_serve(*flags, environment=environment) as one, oruel_serve(*flags, environment=environment) as two:
            async with (
                httpx2.AsyncClient(base_url=one.url, headers=bearer, timeout=20) as first,
                httpx2.AsyncClient(base_url=two.url, headers=bearer, timeout=20) as second,
            ):
                await check_duplicates(stub, [first, second])
        (row,) = here.rows()
        assert (row.status, row.price, here.balance()) == ("finished", PRICE, USD - PRICE)
        with here.store.reading() as connection:
            assert len(connection.execute(select(idempotency)).all()) == 1
