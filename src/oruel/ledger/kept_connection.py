"""A connection that one thread keeps for all its transactions: taking one from the pool and beginning a transaction
through SQLAlchemy takes longer than a commit of SQLite.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import SQLAlchemyError

Result = TypeVar("Result")


class StoreBusy(Exception):
    """A transaction would have to wait, so it was not begun."""


class KeptConnection:
    """`engine` commits every statement by itself, unless a transaction is begun with the statement `begin`. A new
    connection runs the statements `settings`. Without `waits`, these say that no statement waits for a lock.
    """

    def __init__(self, engine: Engine, begin: str, settings: Sequence[str] = (), *, waits: bool = True) -> None:
        self._engine = engine
        self._begin = begin
        self._settings = settings
        self._waits = waits
        self._connection: Connection | None = None

    def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Runs `work` in a transaction. If anything fails, closes the connection, so that the transaction is rolled
        back, and the next one has a new connection. Raises StoreBusy.
        """
        connection = self._connection = self._connection or self._connect()
        cursor = connection.connection.cursor()
        try:
            self._begin_with(cursor)
            result = work(connection)
            cursor.execute("COMMIT")
        except StoreBusy:
            raise
        except BaseException:
            self.close()
            raise
        return result

    def run(self, statements: Sequence[str]) -> None:
        """Outside a transaction."""
        self._connection = self._connection or self._connect()
        run_each(self._connection, statements)

    def _connect(self) -> Connection:
        connection = self._engine.connect()
        run_each(connection, self._settings)
        return connection

    def _begin_with(self, cursor: DBAPICursor) -> None:
        try:
            cursor.execute(self._begin)
        except self._engine.dialect.loaded_dbapi.OperationalError as error:
            if self._waits:
                raise
            raise StoreBusy from error

    def close(self) -> None:
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        with suppress(SQLAlchemyError):
            connection.invalidate()
            connection.close()


def run_each(connection: Connection, statements: Sequence[str]) -> None:
    cursor = connection.connection.cursor()
    for statement in statements:
        cursor.execute(statement)
