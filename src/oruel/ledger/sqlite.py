"""A store in a SQLite file, which only its owner may read."""

import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from oruel.errors import StoreError
from oruel.ledger.engines import WAIT_SECONDS, Engines, begin_with

APPLICATION_ID = 0x4F72754C
"""The mark of our files: "OruL"."""

BEGIN = "BEGIN IMMEDIATE"
# Another writer holds it up only shortly, and is held up only shortly itself.
CHECKPOINT = ("PRAGMA busy_timeout = 50", "PRAGMA wal_checkpoint(FULL)", f"PRAGMA busy_timeout = {1000 * WAIT_SECONDS}")
QUICK = ("PRAGMA busy_timeout = 0", "PRAGMA wal_autocheckpoint = 0")
# Every commit writes whole pages to the log, of each of some ten tables and indices, and checkpoints sync them to the
# disk: smaller pages than SQLite's usual 4096 bytes make that four times less. Files that have another size keep it.
PAGE_BYTES = 1024
READERS = 4
PRIVATE = 0o600


def open_sqlite(path: Path, synchronous: str) -> Engines:
    """Creates an empty file if there is none. Raises StoreError."""
    try:
        create_file(path)
    except OSError as error:
        raise StoreError(f"Can't create the store {path}: {error.strerror}.") from error
    if not os.access(path, os.R_OK | os.W_OK) or not path.is_file():
        raise StoreError(f"The store {path} is not a file that this user may read and write.")
    # One connection writes, so that the threads of this process wait in a queue. SQLite itself would let them poll.
    pragmas = [f"page_size = {PAGE_BYTES}", f"synchronous = {synchronous}", "foreign_keys = ON"]
    writer = create_sqlite_engine(path, connections=1, pragmas=pragmas)
    begin_with(writer, BEGIN)
    reader = create_sqlite_engine(path, connections=READERS, pragmas=["query_only = ON"])
    begin_with(reader, "BEGIN")
    plain = create_sqlite_engine(path, connections=2, pragmas=pragmas)
    return Engines(writer, reader, plain, BEGIN, has_clock=False, quick=QUICK if synchronous == "normal" else None)


def create_file(path: Path) -> None:
    """Never opens a file that exists: closing it would release the locks of this process's connections to it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    except FileExistsError:
        return


def create_sqlite_engine(path: Path, *, connections: int, pragmas: list[str]) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": WAIT_SECONDS},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        hide_parameters=True,
        paramstyle="named",
    )

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def prepare_file(path: Path, writer: Engine) -> None:
    """Switches a file that is ours to write-ahead logging, and withdraws others' permissions. SQLite gives its -wal and
    -shm files the permissions of the file. Raises StoreError.
    """
    if path.stat().st_mode & 0o077:
        try:
            path.chmod(PRIVATE)
        except OSError as error:
            raise StoreError(f"Others may read the store {path}. Run: chmod 600 {path}") from error
    if switch_to_wal(writer) != "wal":
        raise StoreError(f"The file system of {path} doesn't support SQLite's write-ahead log. Use a local disk.")


def switch_to_wal(writer: Engine) -> str:
    """Returns the journal mode afterwards. Two processes that switch at once get "locked" without waiting."""
    deadline = time.monotonic() + WAIT_SECONDS
    connection = writer.raw_connection()
    try:
        while True:
            try:
                return str(connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
    finally:
        connection.close()
