"""A connection that one thread keeps for all its transactions: taking one from the pool and beginning a transaction
through SQLAlchemy takes longer than a commit of SQLite.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError


class KeptConnection:
    """`engine` commits every statement by itself, unless a transaction is begun with the statement `begin`."""

    def __init__(self, engine: Engine, begin: str) -> None:
        self._engine = engine
        self._begin = begin
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commits at the end. If anything fails, closes the connection, so that the transaction is rolled back, and the
        next one has a new connection.
        """
        connection = self._connection = self._connection or self._engine.connect()
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._begin)
            yield connection
            cursor.execute("COMMIT")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        with suppress(SQLAlchemyError):
            connection.invalidate()
            connection.close()
