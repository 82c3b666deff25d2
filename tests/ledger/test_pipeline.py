"""Statements that are sent together: a transaction is written as a whole or not at all, and failures are noticed."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from oruel.errors import StoreUnavailable
from oruel.ledger import pipeline, pipelined_group
from oruel.ledger.database import Database
from oruel.ledger.entries import Opening, Settlement
from oruel.ledger.kept_connection import StoreBusy
from oruel.ledger.pipeline import Pipeline
from oruel.ledger.pipelined_group import PipelinedWriter
from tests.ledger.books import add_account, add_key
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio

STATEMENTS = {
    "add": "INSERT INTO numbers SELECT json_array_elements_text($1)::int",
    "all": "SELECT number, NULL FROM numbers ORDER BY number",
    "divide": "SELECT 1 / $1::int",
}


@pytest.fixture
def location(postgres: PostgresServer) -> str:
    return postgres.create_database()


@pytest.fixture
def connection(location: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers (number integer)")
        yield connection


@pytest.fixture
async def numbers(location: str, connection: psycopg.Connection[tuple[object, ...]]) -> AsyncIterator[Pipeline]:
    opened = Pipeline(psycopg.connect(location, autocommit=True), STATEMENTS)
    yield opened
    opened.close()


def stored(connection: psycopg.Connection[tuple[object, ...]]) -> list[object]:
    return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number")]


async def test_statements_see_one_another_and_are_committed_together(
    numbers: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    numbers.send("add", b"[1, 2]")
    numbers.send("all")
    assert (await numbers.fetch())["all"] == [[b"1", None], [b"2", None]]
    numbers.send("add", b"[3]")
    assert stored(connection) == []
    await numbers.commit()
    assert stored(connection) == [1, 2, 3]


async def test_closing_rolls_back_what_was_not_committed(
    numbers: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    numbers.send("add", b"[1]")
    await numbers.fetch()
    numbers.close()
    assert stored(connection) == []


async def test_an_error_of_one_statement_undoes_the_others(
    numbers: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    numbers.send("add", b"[1]")
    numbers.send("divide", b"0")
    numbers.send("add", b"[2]")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await numbers.commit()
    assert stored(connection) == []


async def test_parameters_and_results_may_be_larger_than_the_buffers_of_sockets(
    numbers: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    many = list(range(10**6, 10**6 + 200_000))
    numbers.send("add", str(many).encode())
    numbers.send("all")
    assert len((await numbers.commit())["all"]) == len(many)


async def test_a_server_that_hangs_is_given_up(
    numbers: Pipeline, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PATIENCE_SECONDS", 0.2)
    postgres.pause()
    try:
        numbers.send("add", b"[1]")
        with pytest.raises(psycopg.OperationalError, match="for too long"):
            await numbers.commit()
    finally:
        postgres.resume()


def opening(id: str) -> Opening:
    return Opening(id, f"req-{id}", "acc_1", "key_1", "demo", "standard", time.time_ns() // 1000, 100, 10)


async def test_a_writer_whose_connection_ended_connects_again(postgres: PostgresServer, location: str) -> None:
    store = Database.open(location)
    with store.transaction() as connection:
        add_account(connection, "acc_1", balance=1000)
        add_key(connection, "key_1", "acc_1")
    writer = PipelinedWriter(store, "here")
    await writer.connect()
    (outcome,) = await writer.write([opening("a")], [])
    assert outcome.is_started
    others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    with pytest.raises(StoreUnavailable):
        await writer.write([], [Settlement(opening("a"), "finished", price=100)])
    with pytest.raises(StoreBusy):
        await writer.write([], [Settlement(opening("a"), "finished", price=100)])
    async with asyncio.timeout(30):
        while True:
            try:
                await writer.write([], [Settlement(opening("a"), "finished", price=100)])
            except StoreBusy:
                await asyncio.sleep(0.01)
            else:
                break
    await writer.close()
    store.close()


async def test_settling_reads_no_entries_that_are_settled_already(location: str) -> None:
    """The partial index of open entries holds them until the next VACUUM. The plan is made while there are no rows."""
    store = Database.open(location)
    connection = store.connect_driver()
    for setting in pipelined_group.SETTINGS:
        connection.execute(setting)
    connection.pgconn.prepare(b"settle", pipelined_group.STATEMENTS["settle"].encode())
    plan = "\n".join(line for (line,) in connection.execute("EXPLAIN EXECUTE settle ('[]')"))
    connection.close()
    store.close()
    assert "requests_pkey" in plan
    assert "requests_open" not in plan


async def test_a_driver_without_pipelines_leaves_everything_to_the_thread(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0

    def fail(database: Database) -> Pipeline:
        nonlocal attempts
        attempts += 1
        raise psycopg.NotSupportedError("this libpq has no pipelines")

    monkeypatch.setattr(pipelined_group, "open_pipeline", fail)
    store = Database.open(location)
    writer = PipelinedWriter(store, "here")
    for _ in range(3):
        with pytest.raises(StoreBusy):
            await writer.write([opening("a")], [])
        await asyncio.sleep(0.05)
    await writer.close()
    store.close()
    assert attempts == 1
