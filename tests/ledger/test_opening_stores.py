"""Opening a store: what is created, what is brought up to date, and what is refused and left as it is."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, update

from oruel.errors import StoreError
from oruel.ledger import migrations
from oruel.ledger.database import Database
from oruel.ledger.migrations import NEWEST
from oruel.ledger.tables import accounts, meta
from tests.ledger.books import add_account
from tests.postgres import PostgresServer, free_port

OPEN = "import sys; from oruel.ledger.database import Database; Database.open(sys.argv[1]).close()"
# The modules are loaded first, since the other user may have no access to them.
OPEN_AS_NOBODY = """
import os, pwd, sys
from oruel.errors import StoreError
from oruel.ledger.database import Database
Database.open(sys.argv[2]).close()
os.setuid(pwd.getpwnam("nobody").pw_uid)
try:
    Database.open(sys.argv[1])
except StoreError as error:
    print(error.message)
"""


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def run_sqlite(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_only_the_owner_may_read_a_sqlite_store(tmp_path: Path) -> None:
    path = tmp_path / "data" / "ledger.db"
    before = os.umask(0)
    try:
        store = Database.open(str(path))
        with store.transaction() as connection:
            add_account(connection, "ada")
        assert {file.name: permissions(file) for file in path.parent.iterdir()} == {
            "ledger.db": 0o600,
            "ledger.db-wal": 0o600,
            "ledger.db-shm": 0o600,
        }
        assert permissions(path.parent) == 0o700
    finally:
        os.umask(before)
    store.close()


def test_opening_a_sqlite_store_that_others_may_read_makes_it_private(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Database.open(str(path)).close()
    path.chmod(0o644)
    Database.open(str(path)).close()
    assert permissions(path) == 0o600


@pytest.mark.parametrize(("options", "level"), [("", 1), ("?synchronous=full", 2)])
def test_a_sqlite_store_logs_ahead_and_syncs_every_commit_if_asked_to(tmp_path: Path, options: str, level: int) -> None:
    store = Database.open(f"sqlite:///{tmp_path}/ledger.db{options}")
    with store.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM meta").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == level
    store.close()


def test_a_store_may_be_given_as_a_path_or_a_url(tmp_path: Path) -> None:
    path = tmp_path / "a ? b %41 é.db"
    Database.open(str(path)).close()
    Database.open(f"sqlite:///{tmp_path}/c.db").close()
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "c.db"}


def test_processes_that_start_at_once_create_one_store(store_location: str) -> None:
    command = [sys.executable, "-c", OPEN, store_location]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    assert [process.communicate()[1] for process in processes] == [""] * 5
    store = Database.open(store_location)
    with store.reading() as connection:
        assert connection.execute(select(meta)).all() == [("oruel", NEWEST, None, 0)]
    store.close()


def test_opening_a_store_again_changes_nothing(store: Database, store_location: str) -> None:
    with store.transaction() as connection:
        add_account(connection, "ada")
        connection.execute(update(meta).values(changes=7))
    Database.open(store_location).close()
    with store.reading() as connection:
        assert connection.execute(select(meta)).all() == [("oruel", NEWEST, None, 7)]
        assert connection.execute(select(accounts.c.name)).all() == [("ada",)]


@pytest.fixture
def newer_program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this program one whose newest migration is the given statement."""

    def declare(statement: str) -> None:
        monkeypatch.setattr(migrations, "MIGRATIONS", {**migrations.MIGRATIONS, NEWEST + 1: [statement]})
        monkeypatch.setattr(migrations, "NEWEST", NEWEST + 1)

    return declare


def test_a_store_of_an_older_version_is_migrated(
    store: Database, store_location: str, newer_program: Callable[[str], None]
) -> None:
    with store.transaction() as connection:
        add_account(connection, "ada")
    newer_program("ALTER TABLE accounts ADD COLUMN colour TEXT")
    Database.open(store_location).close()
    Database.open(store_location).close()
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT name, colour FROM accounts").all() == [("ada", None)]
        assert connection.execute(select(meta.c.version)).scalar_one() == NEWEST + 1


def test_a_migration_that_fails_changes_nothing(store_location: str, newer_program: Callable[[str], None]) -> None:
    newer_program("ALTER TABLE nothing ADD COLUMN colour TEXT")
    with pytest.raises(StoreError, match="nothing"):
        Database.open(store_location)
    newer_program("CREATE TABLE something (id TEXT)")
    store = Database.open(store_location)
    with store.reading() as connection:
        assert inspect(connection).has_table("something")
    store.close()


def test_a_store_of_a_newer_version_is_refused(store: Database, store_location: str) -> None:
    with store.transaction() as connection:
        connection.execute(update(meta).values(version=NEWEST + 1))
        connection.exec_driver_sql("DROP TABLE requests")
    with pytest.raises(StoreError, match=rf"newer version of Oru'el \(store version {NEWEST + 1}, .* knows {NEWEST}\)"):
        Database.open(store_location)
    with store.reading() as connection:
        assert not inspect(connection).has_table("requests")


def test_a_store_that_has_lost_a_column_is_refused(store: Database, store_location: str) -> None:
    with store.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE requests DROP COLUMN finish")
    with pytest.raises(StoreError, match=r"Its table requests lacks finish\. Restore"):
        Database.open(store_location)


FOREIGN = [
    "CREATE TABLE accounts (id TEXT)",
    "CREATE TABLE meta (id TEXT)",
    "CREATE TABLE meta (program TEXT, version INTEGER); INSERT INTO meta VALUES ('other', 1)",
    "CREATE TABLE meta (program TEXT, version INTEGER)",
]


@pytest.mark.parametrize("script", FOREIGN)
def test_a_postgresql_database_of_another_program_is_refused_and_left_as_it_is(
    postgres: PostgresServer, script: str
) -> None:
    location = postgres.create_database()
    postgres.execute(script, location)
    with pytest.raises(
        StoreError, match=r"tables of another program: (accounts|meta)\. Give Oru'el a database of its own"
    ):
        Database.open(location)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    assert postgres.execute(tables, location) in (["accounts"], ["meta"])


def test_a_postgresql_database_may_have_other_tables(postgres: PostgresServer) -> None:
    location = postgres.create_database()
    postgres.execute("CREATE TABLE unrelated (id TEXT)", location)
    Database.open(location).close()


def another_programs_database(path: Path) -> None:
    run_sqlite(path, "CREATE TABLE anything (id TEXT)")


def another_programs_mark(path: Path) -> None:
    run_sqlite(path, "PRAGMA application_id = 1234")


def our_tables_without_our_mark(path: Path) -> None:
    run_sqlite(path, "CREATE TABLE meta (program TEXT, version INTEGER)", "INSERT INTO meta VALUES ('oruel', 1)")


def not_a_database(path: Path) -> None:
    path.write_text("Dear diary, " * 100)


@pytest.mark.parametrize(
    "make", [another_programs_database, another_programs_mark, our_tables_without_our_mark, not_a_database]
)
def test_a_file_of_another_program_is_refused_and_left_as_it_is(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    make(path)
    path.chmod(0o640)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"Another program wrote it\. Choose another file|file is not a database"):
        Database.open(str(path))
    assert path.read_bytes() == before
    assert permissions(path) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_cut_off_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Database.open(str(path)).close()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match="malformed"):
        Database.open(str(path))


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a file that this user may read and write"):
        Database.open(str(tmp_path))


def test_a_store_below_a_file_can_not_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"Can't create the store .*/file/ledger\.db: (Not a directory|File exists)\."):
        Database.open(str(tmp_path / "file" / "ledger.db"))


@pytest.mark.skipif(os.geteuid() != 0, reason="runs a process as another user")
def test_a_store_of_another_user_can_be_neither_created_nor_opened(tmp_path: Path) -> None:
    def open_as_nobody() -> str:
        command = [sys.executable, "-c", OPEN_AS_NOBODY, str(path), str(tmp_path / "own.db")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    path = tmp_path / "ledger.db"
    assert open_as_nobody() == f"Can't create the store {path}: Permission denied."
    path.touch(mode=0o644)
    assert open_as_nobody() == f"The store {path} is not a file that this user may read and write."


def test_postgresql_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as raised:
        Database.open(f"postgresql://oruel:hush@127.0.0.1:{free_port()}/ledger?sslpassword=hush")
    assert raised.value.message.startswith("Can't use the store postgresql://oruel:***@127.0.0.1:")
    assert "Connection refused" in raised.value.message
    assert "hush" not in raised.value.message


def test_an_unknown_postgresql_database_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(StoreError, match=r'127\.0\.0\.1:\d+/nothing: .*database "nothing" does not exist'):
        Database.open(postgres.url("oruel", "nothing"))


def test_a_postgresql_user_who_may_create_no_tables_gets_a_clear_message(postgres: PostgresServer) -> None:
    postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE guest LOGIN")
    with pytest.raises(StoreError, match="permission denied for schema public"):
        Database.open(postgres.url("guest"))


def test_a_missing_postgresql_driver_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"Install it with: pip install 'oruel\[postgresql\]'"):
        Database.open("postgresql://localhost/ledger")


@pytest.mark.parametrize(
    "location",
    [
        "mysql://oruel:hush@localhost/ledger",
        "sqlite:///ledger.db?hush=1",
        "sqlite://hush/ledger.db",
        "sqlite://",
        ":memory:",
        "",
        "postgresql://oruel:hush@localhost",
        "postgresql://oruel:hush@localhost:port/ledger",
        "postgresql://oruel:pass@hush@localhost/ledger",
        "postgresql://",
    ],
)
def test_a_location_that_is_no_store_is_refused_without_repeating_its_password(location: str) -> None:
    with pytest.raises(StoreError) as raised:
        Database.open(location)
    assert "hush" not in raised.value.message
    assert raised.value.message.endswith((".", "/"))
