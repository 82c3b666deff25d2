"""What both kinds of stores have in common: the engines that write, and one that reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

WAIT_SECONDS = 5
"""How long a statement waits for others before the store counts as unavailable."""


@dataclass(frozen=True, slots=True)
class Engines:
    """`plain` begins no transactions by itself; `begin` is the statement that begins one. `has_clock`: the store is a
    server whose clock all instances share. `quick`: the statements after which a connection of `plain` never waits for
    long; None if a commit waits for a disk or a server. `connect_driver` opens a connection of PostgreSQL's driver that
    commits every statement by itself; None for other stores.
    """

    writer: Engine
    reader: Engine
    plain: Engine
    begin: str
    has_clock: bool
    quick: tuple[str, ...] | None = None
    connect_driver: Callable[[], Any] | None = None

    def close(self) -> None:
        """Closes the connections that are used no more now, and the others as soon as their threads give them back."""
        for engine in (self.writer, self.reader, self.plain):
            event.listen(engine.pool, "checkin", close_late)
            engine.dispose()


def close_late(connection: DBAPIConnection | None, _: ConnectionPoolEntry) -> None:
    if connection is not None:
        connection.close()


def begin_with(engine: Engine, statement: str) -> None:
    """Begins every transaction of `engine` with `statement`."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
