"""Notes in the store that an account or a key has changed, so that every process reads its keys again."""

from sqlalchemy import Connection, update

from oruel.ledger.tables import meta


def note_change(connection: Connection) -> None:
    """In the transaction of the change itself: a process that sees the new number sees the change."""
    connection.execute(update(meta).values(changes=meta.c.changes + 1))
