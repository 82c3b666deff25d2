"""PostgreSQL opens a request in one round trip if it holds what this process expects, and as it really is otherwise."""

import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select, update

from oruel.errors import InsufficientFunds, RateLimited, SpendingLimitReached
from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.expectation import Expectation
from oruel.ledger.group import GroupWriter
from oruel.ledger.kept_connection import StoreBusy
from oruel.ledger.pipeline import Pipeline
from oruel.ledger.pipelined_group import PipelinedWriter
from oruel.ledger.tables import accounts, keys, requests, spending
from tests.ledger.books import add_account, add_key
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio

LIMITS = {
    "day_limit": 10_000,
    "month_limit": 10_000,
    "requests_per_minute": 100,
    "tokens_per_minute": 1000,
    "concurrent_requests": 8,
}


@pytest.fixture
def store(postgres: PostgresServer) -> Database:
    opened = Database.open(postgres.create_database())
    with opened.transaction() as connection:
        add_account(connection, "acc_1", balance=1000)
        add_key(connection, "key_1", "acc_1", **LIMITS)
    return opened


@pytest.fixture
async def writer(store: Database) -> AsyncIterator[PipelinedWriter]:
    """Expects already what the store holds."""
    opened = PipelinedWriter(store, "here")
    await opened.connect()
    await run(opened, "first")
    yield opened
    await opened.close()
    store.close()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The round trips so far."""
    made: list[str] = []
    receive = Pipeline._receive

    async def counted(pipeline: Pipeline) -> object:
        made.append(" ".join(pipeline._sent))
        return await receive(pipeline)

    monkeypatch.setattr(Pipeline, "_receive", counted)
    return made


def opening(id: str, price: int = 100) -> Opening:
    return Opening(id, f"req-{id}", "acc_1", "key_1", "demo", "standard", time.time_ns() // 1000, price, 10)


def settlement(id: str, price: int = 30) -> Settlement:
    return Settlement(opening(id), "finished", prompt_tokens=2, completion_tokens=3, price=price)


async def run(writer: PipelinedWriter, id: str) -> None:
    await writer.write([opening(id)], [])
    await writer.write([], [settlement(id)])


async def open_one(writer: PipelinedWriter, id: str, price: int = 100) -> Opened:
    (outcome,) = await writer.write([opening(id, price)], [])
    return outcome


def change(store: Database, statement: object) -> None:
    with store.transaction() as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def open_ids(connection: Connection) -> list[str]:
    return list(connection.execute(select(requests.c.id).where(requests.c.status.is_(None))).scalars())


async def test_one_process_opens_and_settles_in_one_round_trip_each(writer: PipelinedWriter, trips: list[str]) -> None:
    for number in range(5):
        await run(writer, f"request-{number}")
    assert trips == ["lock open end", "lock settle end"] * 5


async def test_a_group_of_both_takes_one_round_trip(writer: PipelinedWriter, store: Database, trips: list[str]) -> None:
    await writer.write([opening("a"), opening("b")], [])
    await writer.write([opening("c")], [settlement("a"), settlement("b")])
    assert trips == ["lock open end", "lock settle open end"]
    with store.reading() as connection:
        assert open_ids(connection) == ["c"]
        assert connection.execute(select(accounts.c.balance)).scalar_one() == 1000 - 3 * 30


async def test_credit_that_another_process_adds_counts_at_once(writer: PipelinedWriter, store: Database) -> None:
    assert isinstance((await open_one(writer, "a", 5000)).refusal, InsufficientFunds)
    change(store, update(accounts).values(balance=9000))
    assert (await open_one(writer, "b", 5000)).is_started


async def test_a_balance_that_another_process_spent_refuses_the_request(
    writer: PipelinedWriter, store: Database, trips: list[str]
) -> None:
    change(store, update(accounts).values(balance=99))
    assert isinstance((await open_one(writer, "a")).refusal, InsufficientFunds)
    assert trips == ["lock open end", "lock open", "open end"]
    with store.reading() as connection:
        assert open_ids(connection) == []


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        (update(keys).values(day_limit=50), SpendingLimitReached),
        (update(spending).values(spent=9950), SpendingLimitReached),
        (update(keys).values(requests_due=keys.c.requests_due + 70 * 10**9), RateLimited),
        (update(keys).values(tokens_due=keys.c.tokens_due + 70 * 10**9), RateLimited),
        (update(keys).values(concurrent_requests=0), RateLimited),
    ],
)
async def test_no_limit_is_decided_by_what_was_expected(
    writer: PipelinedWriter, store: Database, changed: object, refusal: type[Exception]
) -> None:
    change(store, changed)
    assert isinstance((await open_one(writer, "a")).refusal, refusal)


async def test_requests_that_another_process_opened_count(writer: PipelinedWriter, store: Database) -> None:
    other = GroupWriter(store, "elsewhere")
    other.write([opening(f"other-{number}") for number in range(8)], [])
    refusal = (await open_one(writer, "a")).refusal
    assert isinstance(refusal, RateLimited)
    assert "8 requests of this API key are running" in refusal.message


async def test_while_others_write_too_a_request_is_decided_under_the_lock(
    writer: PipelinedWriter, store: Database, trips: list[str]
) -> None:
    """Otherwise each would be decided twice."""
    change(store, update(accounts).values(balance=900))
    await open_one(writer, "a")
    trips.clear()
    await open_one(writer, "b")
    assert trips == ["lock open", "open end"]


async def test_a_decision_of_another_time_is_made_again(
    writer: PipelinedWriter, trips: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Expectation._now
    monkeypatch.setattr(Expectation, "_now", lambda expectation: right(expectation) + 3600 * 10**6)
    assert (await open_one(writer, "a")).is_started
    assert trips == ["lock open end", "lock open", "open end"]


async def test_a_key_that_is_new_to_this_process_is_read_first(
    writer: PipelinedWriter, store: Database, trips: list[str]
) -> None:
    with store.transaction() as connection:
        add_key(connection, "key_2", "acc_1", **LIMITS)
    of_new = Opening("a", "req-a", "acc_1", "key_2", "demo", "standard", time.time_ns() // 1000, 100, 10)
    (outcome,) = await writer.write([of_new], [])
    assert outcome.is_started
    assert trips == ["lock open", "open end"]
    trips.clear()
    assert (await open_one(writer, "b")).is_started
    assert trips == ["lock open end"]


async def test_a_group_with_a_settlement_that_does_not_fit_is_not_written(
    writer: PipelinedWriter, store: Database
) -> None:
    with pytest.raises(StoreBusy):
        await writer.write([opening("a")], [settlement("unknown")])
    with store.reading() as connection:
        assert open_ids(connection) == []
