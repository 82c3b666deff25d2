"""The store: opens it, runs transactions, and translates the errors of its drivers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from sqlalchemy import BigInteger, Connection, Select, cast, extract, func, select
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolExhausted

from oruel.errors import StoreError, StoreUnavailable
from oruel.ledger.engines import Engines
from oruel.ledger.kept_connection import KeptConnection
from oruel.ledger.location import Location, SQLiteLocation, parse_location
from oruel.ledger.migrations import is_current, migrate
from oruel.ledger.postgresql import open_postgresql
from oruel.ledger.sqlite import CHECKPOINT, open_sqlite, prepare_file
from oruel.ledger.statement import Statement

# Trying again doesn't help.
FAULTS_OF_STATEMENTS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)

SERVER_TIME = Statement(select(cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)))

Result = TypeVar("Result")
S = TypeVar("S", bound=Select[*tuple[Any, ...]])

log = structlog.get_logger("oruel.ledger")


class TranslatedErrors:
    """A context that raises StoreUnavailable instead of the driver's errors, except those of a statement itself. What
    the driver says may name paths, hosts and SQL, so it goes to the log alone.
    """

    def __init__(self, driver: Any) -> None:
        self._failures = (DBAPIError, PoolExhausted, driver.Error)
        faults = (driver.IntegrityError, driver.DataError, driver.ProgrammingError, driver.NotSupportedError)
        self._faults = (*FAULTS_OF_STATEMENTS, *faults)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, self._failures) and not isinstance(error, self._faults):
            log.error("the store is unavailable", error=type(error).__name__, detail=reason_of(error))
            raise StoreUnavailable("The server can't record requests at the moment. Try again.") from error


class Database:
    """Threads may share it. Each transaction has a connection of its own."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self.translated_errors = TranslatedErrors(engines.writer.dialect.loaded_dbapi)
        self._kept: list[KeptConnection] = []

    @classmethod
    def open(cls, location: str) -> "Database":
        """Creates the tables of a new store, and migrates those of an older version. Raises StoreError, and then the
        store is as it was.
        """
        where = parse_location(location)
        if isinstance(where, SQLiteLocation):
            engines = open_sqlite(where.path, where.synchronous)
        else:
            engines = open_postgresql(where.url)
        try:
            prepare(engines, where)
        except (SQLAlchemyError, StoreError, OSError) as error:
            engines.close()
            raise StoreError(f"Can't use the store {where}: {reason_of(error)}") from error
        return cls(engines)

    def close(self) -> None:
        for connection in self._kept:
            connection.close()
        self._engines.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commits at the end, or rolls back if the block raises. On SQLite, no other transaction writes meanwhile.

        Raises StoreUnavailable; an error of the statement itself, such as an IntegrityError, passes through.
        """
        with self.translated_errors, self._engines.writer.begin() as connection:
            yield connection

    @property
    def is_quick(self) -> bool:
        """Whether a commit waits for neither a disk nor a server."""
        return self._engines.quick is not None

    def keep_connection(self, *, waits: bool = True) -> KeptConnection:
        """A connection for the transactions of one thread, until `close`. Without `waits`, which needs a quick store,
        they raise StoreBusy rather than wait for another writer.
        """
        settings = () if waits else self._engines.quick or ()
        self._kept.append(KeptConnection(self._engines.plain, self._engines.begin, settings, waits=waits))
        return self._kept[-1]

    def run(self, work: Callable[[Connection], Result], kept: KeptConnection) -> Result:
        """The result of `work` in a transaction like those of `transaction`."""
        with self.translated_errors:
            return kept.transaction(work)

    @property
    def has_pipeline(self) -> bool:
        """Whether statements can be sent together (pipeline.py)."""
        return self._engines.connect_driver is not None

    def connect_driver(self) -> Any:
        """A connection of PostgreSQL's driver, which the caller has to close. Raises the driver's errors."""
        assert self._engines.connect_driver
        return self._engines.connect_driver()

    def checkpoint(self, kept: KeptConnection) -> None:
        """Copies SQLite's write-ahead log into the database file, so that the log starts again from its beginning.
        Otherwise it would grow for as long as there is always a writer. Raises StoreUnavailable.
        """
        with self.translated_errors:
            kept.run(CHECKPOINT)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot. Neither waits for transactions that write nor holds them up. Raises StoreUnavailable."""
        with self.translated_errors, self._engines.reader.begin() as connection:
            yield connection

    def now(self, connection: Connection) -> int:
        """Microseconds since the epoch, by the clock that all instances share: the server's, or this machine's."""
        if not self._engines.has_clock:
            return time.time_ns() // 1000
        return int(SERVER_TIME.first(connection)[0])

    def version(self, connection: Connection) -> int | None:
        """Inside a transaction: a number that changes when another connection has written to the store; the numbers of
        two connections have nothing in common. None if the store can't tell.
        """
        if self._engines.has_clock:
            return None
        return int(connection.connection.cursor().execute("PRAGMA data_version").fetchone()[0])

    @staticmethod
    def locking(rows: S) -> S:
        """Locks the rows that it selects until the transaction ends. On SQLite, the whole store is locked already."""
        return rows.with_for_update()


def prepare(engines: Engines, where: Location) -> None:
    """Looks before it writes: a store of another program stays as it is."""
    with engines.reader.begin() as connection:
        current = is_current(connection)
    if not current:
        with engines.writer.begin() as connection:
            migrate(connection)
    if isinstance(where, SQLiteLocation):
        prepare_file(where.path, engines.writer)


def reason_of(error: Exception) -> str:
    """The first line of what the driver says, without SQL and its parameters."""
    if isinstance(error, StoreError):
        return error.message
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return (str(cause).splitlines() or [type(cause).__name__])[0]
