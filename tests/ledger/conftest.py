"""The stores on which the same tests run: SQLite, and a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oruel.ledger.database import Database
from tests.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests. Each test has a database of its own; a test that stops the server starts it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that doesn't exist yet."""
    if request.param == "sqlite":
        return str(tmp_path / "store" / "ledger.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
def store(store_location: str) -> Iterator[Database]:
    database = Database.open(store_location)
    yield database
    database.close()
