"""A connection that gives up on a PostgreSQL server that hangs. The server's own timeouts don't end, for example, a
commit that waits for a disk.
"""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from oruel.ledger.engines import WAIT_SECONDS

PATIENCE_SECONDS = WAIT_SECONDS + 1.0
"""More than the server's own timeout of a statement, which says more about the cause."""

HANGS = "the server has sent nothing for too long"

R = TypeVar("R")


class ImpatientConnection(psycopg.Connection[Any]):
    """Closes itself after waiting for PATIENCE_SECONDS, and raises OperationalError."""

    def wait(self, gen: PQGen[R], *arguments: Any, **options: Any) -> R:
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, gen: PQGen[R]) -> Generator[Any, Any, R]:
        """psycopg resumes `gen` whenever the server has sent something, and a few times a second."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError(HANGS)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: R = end.value
            return result
