"""Writes everything that waits in one transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection

from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.opening import open_entries, remove_open
from oruel.ledger.settling import NotAllOpen, settle_each, settle_open
from oruel.ledger.states import StateReader, write_dues


class GroupWriter:
    """`instance` is the id of this process in the store. One thread uses it. Without `waits`, it raises StoreBusy
    rather than wait for another writer.
    """

    def __init__(self, database: Database, instance: str, *, waits: bool = True) -> None:
        self._database = database
        self._instance = instance
        self._connection = database.keep_connection(waits=waits)
        self._states = StateReader(database)

    def write(
        self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool = False
    ) -> list[Opened]:
        """The outcome of each opening. `again`: an earlier attempt to write an opening may have succeeded although it
        failed. Raises StoreUnavailable.
        """
        try:
            return self._write(openings, settlements, again=again, one_by_one=again)
        except NotAllOpen:
            return self._write(openings, settlements, again=again, one_by_one=True)

    def checkpoint(self) -> None:
        """Only for a quick store. Raises StoreUnavailable."""
        self._database.checkpoint(self._connection)

    def _write(
        self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool, one_by_one: bool
    ) -> list[Opened]:
        """Settlements come first: they release what the openings may need."""
        keys = {entry.key for entry in (*openings, *(settlement.opening for settlement in settlements))}
        opened = [] if one_by_one else [one for one in settlements if one.opening.reserves]
        others = settlements if one_by_one else [one for one in settlements if not one.opening.reserves]
        replaced = [opening for opening in openings if again or opening.replaces]

        def write(connection: Connection) -> list[Opened]:
            states = self._states.read(connection, keys, to_decide=bool(openings))
            if opened:
                settle_open(connection, states, opened)
            if others:
                settle_each(connection, states, others, self._instance)
            if replaced:
                remove_open(connection, states, replaced)
            outcomes = open_entries(connection, states, openings, self._instance) if openings else []
            write_dues(connection, states, keys)
            return outcomes

        try:
            return self._database.run(write, self._connection)
        except BaseException:
            # What the transaction has changed in the states counts only if it was committed.
            self._states.forget()
            raise
