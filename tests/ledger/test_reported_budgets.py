"""What balances and limits let through. Each test is a fault that users of a gateway have reported: its project and
number.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select

from oruel.errors import StoreUnavailable
from oruel.ledger import committer
from oruel.ledger.group import GroupWriter
from oruel.ledger.tables import keys, spending
from tests.fakes import until
from tests.ledger.gateway import CHAT, PRICE, USD, Gateway, answering, body, gateway, price_of, stubbed_gateway
from tests.stub_server import HANG, HEAD, chunk, status, stub_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def location(tmp_path: Any) -> str:
    return str(tmp_path / "ledger.db")


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock on the wall is nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def status_of(client: httpx2.AsyncClient, **fields: Any) -> int:
    return (await client.post(CHAT, json=body(**fields))).status_code


async def reservation(server: Gateway) -> int:
    """What body() reserves, in units: the prompt's bound depends on its text."""
    server.stub.script = [HEAD, HANG]
    asking = asyncio.create_task(server.client(server.add_key("measuring")).post(CHAT, json=body()))
    await until(lambda: bool(server.stub.bodies))
    (row,) = server.rows()
    asking.cancel()
    await server.settled(1)
    server.stub.script = answering()
    return int(row.reserved)


async def test_concurrent_requests_can_not_pass_a_budget_together(location: str) -> None:
    """BerriAI/litellm#26672, lingyuins/octopus#234, songquanpeng/one-api#52."""
    async with stubbed_gateway(location) as server:
        price = await reservation(server)
        server.stub.script = [HEAD, 0.2, *answering()[1:]]
        for credit, limit in ((3 * price, None), (None, 3 * price)):
            account = "prepaid" if credit else "limited"
            client = server.client(server.add_key(account, credit=credit, day_limit=limit))
            statuses = Counter(await asyncio.gather(*(status_of(client, stream=True) for _ in range(20))))
            assert statuses == {200: 3, 402 if credit else 429: 17}
        assert server.balance("prepaid") == 3 * price - 3 * PRICE


async def test_no_budget_is_enforced_where_none_was_set(location: str) -> None:
    """BerriAI/litellm#20615 and #22726: refused for a default that nobody chose, or for another one's budget."""
    async with stubbed_gateway(location, answering(300, 50, 0)) as server:
        poor = server.client(server.add_key("ada", day_limit=1, month_limit=1))
        free = server.client(server.add_key("ada"))
        other = server.client(server.add_key("bob"))
        empty = server.client(server.add_key("eve", credit=1))
        assert [await status_of(one) for one in (poor, free, other, empty, free, other)] == [
            429,
            200,
            200,
            402,
            200,
            200,
        ]
        assert server.balance() is None


async def test_what_is_enforced_is_what_is_recorded(location: str) -> None:
    """BerriAI/litellm#40050 (the counter runs ahead), #27639 and QuantumNous/new-api#4429 (reservations leak)."""
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(credit=USD, day_limit=USD, month_limit=USD, concurrent_requests=8))
        for script in (answering(), status(500, "{}"), [HEAD, chunk("x"), None], answering(1, 1, 1), status(400, "{}")):
            server.stub.script = script
            await client.post(CHAT, json=body(stream=True))
            await client.post(CHAT, json=body(max_tokens=0))
        server.stub.script = [HEAD, chunk("x"), HANG]
        before = server.backend.deltas
        leaving = [asyncio.create_task(client.post(CHAT, json=body(stream=True))) for _ in range(4)]
        await until(lambda: server.backend.deltas == before + 4)
        for one in leaving:
            one.cancel()
        rows = await server.settled(9)
        charged = sum(row.price for row in rows)
        assert Counter(row.status for row in rows) == {"finished": 2, "error": 3, "disconnect": 4}
        assert charged == sum(row.price for row in rows if row.status != "error") > 0
        assert [(row.reserved, row.reserved_tokens) for row in rows] == [(0, 0)] * 9
        assert server.balance() == USD - charged
        assert list(server.spent().values()) == [charged, charged]
        server.stub.script = answering()
        assert await status_of(client) == 200, "all of the eight places are free again"


async def test_free_models_need_no_balance(location: str) -> None:
    """BerriAI/litellm#29912 and #35373: an exhausted budget blocked models that cost nothing."""
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(credit=1, day_limit=1))
        assert await status_of(client) == 429
        assert await status_of(client, model="free") == 200
        assert server.balance() == 1


async def test_a_deployment_that_takes_over_is_within_the_budget_too(location: str) -> None:
    """BerriAI/litellm#41344: a fallback spent without a limit. Here a model has one price, whoever answers."""
    async with stubbed_gateway(location, status(500, "{}"), answering()) as server:
        assert await status_of(server.client(server.add_key(credit=PRICE))) == 402
        assert (server.stubs[0].bodies, server.stubs[1].bodies, server.rows()) == ([], [], [])


async def test_a_failed_request_frees_its_place(location: str) -> None:
    """BerriAI/litellm#1477: after one error, the limit of parallel requests was reached for ever."""
    async with stubbed_gateway(location, status(500, "{}")) as server:
        client = server.client(server.add_key(concurrent_requests=1))
        for fields in ({}, {"messages": [{"role": "user2", "content": ""}]}, {"model": "none"}, {"n": 99}):
            assert await status_of(client, **fields) in (400, 404, 502)
        server.stub.script = answering()
        assert await status_of(client) == 200


async def test_a_refused_request_uses_nothing_of_the_other_limits(location: str) -> None:
    """BerriAI/litellm#39309: what the limit of parallel requests refused still counted as a request per minute."""
    async with stubbed_gateway(location, [HEAD, HANG]) as server:
        client = server.client(server.add_key(concurrent_requests=1, requests_per_minute=2))
        running = asyncio.create_task(client.post(CHAT, json=body(stream=True)))
        await until(lambda: bool(server.stub.bodies))
        refused = await client.post(CHAT, json=body())
        assert (refused.status_code, refused.headers["x-ratelimit-remaining-requests"]) == (429, "1")
        assert "concurrent" in refused.json()["error"]["message"]
        running.cancel()
        await server.settled(1)
        server.stub.script = answering()
        assert await status_of(client) == 200
        assert len(server.rows()) == 2, "refused requests have no row"


async def test_failed_requests_count_as_requests_per_minute(location: str) -> None:
    """BerriAI/litellm#21312: a client that only failed was never limited."""
    async with stubbed_gateway(location, status(500, "{}")) as server:
        client = server.client(server.add_key(requests_per_minute=2))
        assert [await status_of(client) for _ in range(3)] == [502, 502, 429]


async def test_one_request_can_not_pass_the_limit_of_tokens(location: str) -> None:
    """BerriAI/litellm#4829 (one request beyond the limit is answered), #34223 (two maximums, the lower one counts)."""
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(tokens_per_minute=1000))
        for name in ("max_tokens", "max_completion_tokens"):
            refused = await client.post(CHAT, json=body(max_tokens=None) | {name: 1000})
            assert (refused.status_code, "retry-after" in refused.headers) == (429, False)
            assert "1000 tokens" in refused.json()["error"]["message"]
        assert await status_of(client, max_tokens=1, max_completion_tokens=738) == 400
        assert await status_of(client, max_tokens=None, max_completion_tokens=50) == 200
        (row,) = server.rows()
        assert row.completion_tokens == 20


async def test_a_request_without_max_tokens_reserves_all_that_it_may_use(location: str) -> None:
    """songquanpeng/one-api#1312: without max_tokens, a long prompt was not reserved at all."""
    long = [{"role": "user", "content": "word " * 2000}]
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(credit=price_of(1000, 1000)))
        assert await status_of(client, max_tokens=None) == 402
        assert await status_of(client, messages=long, max_tokens=1) == 402
        assert (server.stub.bodies, server.rows()) == ([], [])
        assert await status_of(client, max_tokens=10) == 200


async def test_a_store_that_fails_serves_nothing(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """BerriAI/litellm#33923: a budget whose reservation can't be written let everything pass."""

    def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("The disk is full.")

    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key())
        with monkeypatch.context() as broken:
            broken.setattr(GroupWriter, "write", fail)
            broken.setattr(committer, "OPENING_SECONDS", 0.2)
            response = await client.post(CHAT, json=body())
        assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
        assert (server.stub.bodies, server.rows()) == ([], [])


async def test_an_exhausted_balance_is_exhausted_at_once_and_everywhere(location: str) -> None:
    """songquanpeng/one-api#204 and #227: what another process had spent was noticed minutes later."""
    async with stub_server(answering()) as stub, gateway(location, stub) as first, gateway(location, stub) as second:
        key = first.add_key(credit=await reservation(first) + PRICE)
        second.books.keys.refresh()  # type: ignore[attr-defined]  # it polls twice a second
        clients = [server.client(key) for server in (first, second, first, second)]
        assert [await status_of(client) for client in clients] == [200, 200, 402, 402]


async def test_days_and_months_are_those_of_utc(location: str, in_tokyo: None) -> None:
    """BerriAI/litellm#34896 (a day that ends hours late), #24675 (limits that never start again), #10288."""
    today = datetime.now(UTC).date()
    assert time.tzname[0] == "JST"
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(day_limit=USD, month_limit=2 * USD))
        set_spent(server, {f"{today - timedelta(days=1)}": 10**15, f"{last_month(today)}": 10**15})
        assert await status_of(client) == 200
        assert server.spent()[f"{today}"] == server.spent()[f"{today:%Y-%m}"] == PRICE
        assert [row.day for row in server.rows()] == [f"{today}"]
        set_spent(server, {f"{today}": USD})
        refused = await client.post(CHAT, json=body())
        assert refused.json()["error"]["code"] == "spending_limit_reached"
        midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
        assert abs(int(refused.headers["retry-after"]) - (midnight - datetime.now(UTC)).total_seconds()) < 60


def last_month(day: date) -> str:
    return f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"


def set_spent(server: Gateway, periods: dict[str, int]) -> None:
    with server.store.transaction() as connection:
        (key,) = connection.execute(select(keys.c.id)).scalars()
        connection.execute(spending.delete().where(spending.c.period.in_(periods)))
        rows = [{"key": key, "period": period, "spent": spent} for period, spent in periods.items()]
        connection.execute(insert(spending), rows)


@pytest.mark.parametrize(
    "fields",
    [{"input_cost_per_token": 0}, {"api_key": "sk-other"}, {"base_url": "http://127.0.0.1:1"}, {"fallbacks": ["free"]}],
)
async def test_a_body_changes_neither_the_price_nor_who_pays(location: str, fields: dict[str, Any]) -> None:
    """BerriAI/litellm#11083: with another user in the request, no budget was checked."""
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(credit=USD), **{"x-litellm-end-user-id": "bob", "openai-user": "bob"})
        server.add_key("bob")
        assert await status_of(client, **fields) == 400
        assert await status_of(client, user="bob", metadata={"account": "bob"}) == 200
        assert server.balance() == USD - PRICE
