"""The store on SQLite and PostgreSQL: transactions, what two of them see of each other, and failures."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from oruel.errors import StoreUnavailable
from oruel.ledger import impatience, sqlite, tables
from oruel.ledger.database import Database
from oruel.ledger.tables import accounts, meta, metadata
from tests.ledger.books import add_account
from tests.postgres import PostgresServer


def names(store: Database) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(select(accounts.c.name).order_by(accounts.c.name)).scalars())


def test_the_migrations_create_the_tables_that_the_program_declares(store: Database) -> None:
    with store.reading() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == set(metadata.tables)
        for table in metadata.sorted_tables:
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert list(columns) == [column.name for column in table.columns]
            for column in table.columns:
                where = f"{table.name}.{column.name}"
                assert columns[column.name]["nullable"] == bool(column.nullable), where
                assert columns[column.name]["type"].python_type is column.type.python_type, where
                if connection.dialect.name == "postgresql":  # SQLite tells only an affinity.
                    assert isinstance(columns[column.name]["type"], type(column.type)), where
            key = found.get_pk_constraint(table.name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key]
            unique = {tuple(constraint["column_names"]) for constraint in found.get_unique_constraints(table.name)}
            assert unique == {(column.name,) for column in table.columns if column.unique}
            foreign = {
                (*key["constrained_columns"], key["referred_table"], *key["referred_columns"])
                for key in found.get_foreign_keys(table.name)
            }
            assert foreign == {(key.parent.name, key.column.table.name, key.column.name) for key in table.foreign_keys}


def test_a_transaction_is_recorded_as_a_whole_or_not_at_all(store: Database) -> None:
    with store.transaction() as connection:
        add_account(connection, "ada")
    with pytest.raises(ZeroDivisionError), store.transaction() as connection:  # noqa: PT012
        add_account(connection, "bob")
        print(1 / 0)
    assert names(store) == ["ada"]


def test_what_was_committed_is_there_after_opening_the_store_again(store: Database, store_location: str) -> None:
    with store.transaction() as connection:
        add_account(connection, "ada")
    store.close()
    again = Database.open(store_location)
    assert names(again) == ["ada"]
    again.close()


def test_a_connection_that_is_used_while_the_store_closes_is_closed_after_that(store: Database) -> None:
    with store.reading() as used:
        driver: Any = used.connection.dbapi_connection
        store.close()
        assert used.scalar(text("SELECT 1")) == 1
    with pytest.raises(Exception, match="closed"):
        driver.execute("SELECT 1")


def test_a_reader_sees_one_moment_and_waits_for_no_writer(store: Database) -> None:
    with store.reading() as reader:
        before = reader.execute(select(accounts.c.name)).all()
        with store.transaction() as writer:
            add_account(writer, "ada")
            assert names(store) == []
        assert names(store) == ["ada"]
        assert reader.execute(select(accounts.c.name)).all() == before == []


def test_a_reader_writes_nothing(store: Database) -> None:
    with pytest.raises(StoreUnavailable), store.reading() as connection:
        add_account(connection, "ada")
    assert names(store) == []


def test_the_store_enforces_its_references(store: Database) -> None:
    with pytest.raises(IntegrityError), store.transaction() as connection:
        connection.execute(insert(tables.credits).values(id="1", account="nobody", amount=1, note="", created=0))


def test_transactions_that_lock_the_same_row_run_one_after_the_other(store: Database) -> None:
    with store.transaction() as connection:
        add_account(connection, "ada")
        connection.execute(update(accounts).values(balance=0))

    def deposit() -> None:
        for _ in range(20):
            with store.transaction() as connection:
                row = select(accounts.c.balance).where(accounts.c.id == "ada")
                balance = connection.execute(store.locking(row)).scalar_one()
                connection.execute(update(accounts).values(balance=balance + 1))

    run_at_once([deposit] * 8)
    with store.reading() as connection:
        assert connection.execute(select(accounts.c.balance)).scalar_one() == 160


def run_at_once(functions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_time_is_in_microseconds_since_the_epoch(store: Database) -> None:
    with store.reading() as connection:
        before = time.time()
        now = store.now(connection) / 1e6
        assert before - 0.001 <= now <= time.time() + 0.001


def test_the_time_of_a_postgresql_store_is_the_servers(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Database.open(postgres.create_database())
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    with store.transaction() as connection:
        first = store.now(connection)
        assert 0 < first < store.now(connection), "the clock goes on within a transaction"
    store.close()


def test_a_locked_sqlite_store_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.05)
    first, second = Database.open(str(tmp_path / "ledger.db")), Database.open(str(tmp_path / "ledger.db"))
    with first.transaction() as connection:
        add_account(connection, "ada")
        with pytest.raises(StoreUnavailable), second.transaction():
            pass
    with second.transaction() as connection:
        add_account(connection, "bob")
    assert names(first) == ["ada", "bob"]
    first.close()
    second.close()


def test_writers_of_one_process_wait_in_a_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.05)
    store = Database.open(str(tmp_path / "ledger.db"))
    with store.transaction(), pytest.raises(StoreUnavailable), store.transaction():
        pass
    store.close()


FULL_DISK = """
import resource, sys
from oruel.errors import StoreUnavailable
from oruel.ledger.database import Database
from tests.ledger.books import add_account
store = Database.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
count = 0
try:
    for count in range(10_000):
        with store.transaction() as connection:
            add_account(connection, f"{count:05}" + 1000 * "x")
except StoreUnavailable as error:
    print(count, error.message)
"""


def test_a_transaction_that_finds_no_space_is_not_recorded(tmp_path: Path) -> None:
    """The limit on the size of files stands for a full disk."""
    path = str(tmp_path / "ledger.db")
    result = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    count, message = result.stdout.splitlines()[-1].split(" ", 1)
    assert message == "The server can't record requests at the moment. Try again."
    store = Database.open(path)
    assert [name[:5] for name in names(store)] == [f"{number:05}" for number in range(int(count))]
    store.close()


def test_postgresql_that_restarts_is_unavailable_and_then_available(postgres: PostgresServer) -> None:
    store = Database.open(postgres.create_database())
    with store.transaction() as connection:
        add_account(connection, "ada")
    postgres.restart()
    assert names(store) == ["ada"], "connections from before the restart are replaced"
    postgres.kill()
    try:
        with pytest.raises(StoreUnavailable), store.transaction():
            pass
    finally:
        postgres.start()
    with store.transaction() as connection:
        add_account(connection, "bob")
    assert names(store) == ["ada", "bob"]
    store.close()


def test_a_transaction_that_postgresql_dies_in_is_not_recorded(postgres: PostgresServer) -> None:
    store = Database.open(postgres.create_database())
    with pytest.raises(StoreUnavailable), store.transaction() as connection:  # noqa: PT012
        add_account(connection, "ada")
        postgres.kill()
        postgres.start()
        add_account(connection, "bob")
    assert names(store) == []
    store.close()


def test_a_statement_on_postgresql_waits_for_others_only_so_long(postgres: PostgresServer) -> None:
    location = postgres.create_database()
    store = Database.open(location)
    impatient = Database.open(f"{location}?options=-c%20statement_timeout%3D50")
    with store.reading() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "5s"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "10s"
    with store.transaction() as connection:
        connection.execute(store.locking(select(meta)))
        with pytest.raises(StoreUnavailable), impatient.transaction() as other:
            other.execute(impatient.locking(select(meta)))
    store.close()
    impatient.close()


def test_errors_tell_callers_nothing_of_the_store(postgres: PostgresServer) -> None:
    location = postgres.create_database()
    store = Database.open(location.replace("@", ":hush@"))
    statement = "SELECT pg_terminate_backend(pg_backend_pid()), %(value)s"
    with structlog.testing.capture_logs() as logs, pytest.raises(StoreUnavailable) as raised, store.transaction() as c:
        c.exec_driver_sql(statement, {"value": "private"})
    store.close()
    assert raised.value.message == "The server can't record requests at the moment. Try again."
    assert [log["detail"] for log in logs] == ["terminating connection due to administrator command"]
    assert "private" not in str(logs)
    assert "hush" not in str(logs)


def test_a_postgresql_that_hangs_is_unavailable_after_a_while(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impatience, "PATIENCE_SECONDS", 0.2)
    store = Database.open(f"{postgres.create_database()}?connect_timeout=2")
    with store.transaction() as connection:
        add_account(connection, "ada")
    postgres.pause()
    try:
        with pytest.raises(StoreUnavailable), store.transaction() as connection:
            add_account(connection, "bob")
    finally:
        postgres.resume()
    assert names(store) == ["ada"]
    store.close()
