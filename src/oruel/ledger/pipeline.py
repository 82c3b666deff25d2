"""Statements that are sent to PostgreSQL together, in one round trip, while the event loop goes on.

Uses libpq itself: psycopg's cursors would take longer than the server.
"""

import asyncio
from collections.abc import Mapping, Sequence

from psycopg import Connection, OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from oruel.ledger.impatience import PATIENCE_SECONDS

SUCCEEDED = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.PIPELINE_SYNC)

Row = Sequence[bytes | None]


class Pipeline:
    """Prepared statements of one connection. What is sent until `commit` is one transaction. Whoever gets an error has
    to call `close`, which rolls back what was not committed.
    """

    def __init__(self, connection: Connection[tuple[object, ...]], statements: Mapping[str, str]) -> None:
        """Prepares the statements; `connection` commits every statement by itself. Blocks, so it is not for the event
        loop. Raises psycopg.Error.
        """
        self._connection = connection
        self._libpq = connection.pgconn
        self._socket = self._libpq.socket
        for name, text in statements.items():
            check(self._libpq.prepare(name.encode(), text.encode()))
        self._libpq.nonblocking = 1
        self._libpq.enter_pipeline_mode()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sent: list[str] = []
        self._results: list[PGresult] = []
        self._arrived: asyncio.Future[None] | None = None
        self._is_flushing = False

    def send(self, name: str, *parameters: bytes | None) -> None:
        self._libpq.send_query_prepared(name.encode(), parameters)
        self._sent.append(name)

    async def fetch(self) -> Mapping[str, list[Row]]:
        """The rows of each statement that was sent since the last call, by its name. Raises psycopg.Error."""
        self._libpq.send_flush_request()
        return await self._receive()

    async def commit(self) -> Mapping[str, list[Row]]:
        """The same, after the transaction has ended."""
        self._libpq.pipeline_sync()
        self._sent.append("end")
        return await self._receive()

    def close(self) -> None:
        self._forget_socket()
        self._connection.close()

    async def _receive(self) -> Mapping[str, list[Row]]:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket, self._read)
        self._arrived = self._loop.create_future()
        self._flush()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._arrived
        except TimeoutError:
            raise OperationalError("the server has sent nothing for too long") from None
        received = {name: rows_of(check(result)) for name, result in zip(self._sent, self._results, strict=True)}
        self._sent, self._results = [], []
        return received

    def _flush(self) -> None:
        """Sends as much as the socket takes, and the rest when it takes more."""
        assert self._loop
        try:
            is_left = self._libpq.flush()
        except OperationalError as error:
            self._fail(error)
            return
        if is_left and not self._is_flushing:
            self._loop.add_writer(self._socket, self._flush)
        elif self._is_flushing and not is_left:
            self._loop.remove_writer(self._socket)
        self._is_flushing = bool(is_left)

    def _read(self) -> None:
        try:
            self._libpq.consume_input()
        except OperationalError as error:
            self._fail(error)
            return
        while len(self._results) < len(self._sent) and not self._libpq.is_busy():
            # None ends the results of one statement.
            if result := self._libpq.get_result():
                self._results.append(result)
        if self._arrived and not self._arrived.done() and len(self._results) == len(self._sent):
            self._arrived.set_result(None)

    def _fail(self, error: OperationalError) -> None:
        self._forget_socket()
        if self._arrived and not self._arrived.done():
            self._arrived.set_exception(error)

    def _forget_socket(self) -> None:
        if self._loop:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)


def check(result: PGresult) -> PGresult:
    """Raises the error that the server reported."""
    if result.status not in SUCCEEDED:
        raise error_from_result(result)
    return result


def rows_of(result: PGresult) -> list[Row]:
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]
