"""Statements that run with every request: compiled once, because SQLAlchemy would spend more time than the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection


class Statement:
    """A SQLAlchemy statement with named parameters, none of them a list."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Runs once for each row of parameters, and returns how many rows of the table that concerned."""
        text, constants = self._compiled.get(connection.dialect.name) or self._compile(connection)
        cursor = connection.connection.cursor()
        if constants:
            rows = [{**constants, **row} for row in rows]
        if len(rows) == 1:
            cursor.execute(text, rows[0])
        else:
            cursor.executemany(text, rows)
        return cursor.rowcount

    def first(self, connection: Connection) -> Sequence[Any]:
        """The first row of the result, of which there must be one."""
        text, constants = self._compiled.get(connection.dialect.name) or self._compile(connection)
        cursor = connection.connection.cursor()
        cursor.execute(text, constants)
        row: Sequence[Any] | None = cursor.fetchone()
        assert row is not None
        return row

    def _compile(self, connection: Connection) -> tuple[str, Mapping[str, Any]]:
        compiled = self._statement.compile(dialect=connection.dialect)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._compiled[connection.dialect.name] = str(compiled), constants
        return self._compiled[connection.dialect.name]
