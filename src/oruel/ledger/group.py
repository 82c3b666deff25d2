"""Writes everything that waits in one transaction."""

from collections.abc import Sequence

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
        replaced = [opening.id for opening in openings if again or opening.replaces]
        try:
            if replaced:
                self._remove(replaced)
            try:
                return self._write(openings, settlements, one_by_one=again)
            except NotAllOpen:
                self._states.forget()
                return self._write(openings, settlements, one_by_one=True)
        except BaseException:
            self._states.forget()
            raise

    def checkpoint(self) -> None:
        """Only for a quick store. Raises StoreUnavailable."""
        self._database.checkpoint(self._connection)

    def _write(
        self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, one_by_one: bool
    ) -> list[Opened]:
        """Settlements come first: they release what the openings may need."""
        entries = [*openings, *(settlement.opening for settlement in settlements)]
        with self._database.transaction_of(self._connection) as connection:
            states = self._states.read(connection, {entry.key for entry in entries}, to_decide=bool(openings))
            if one_by_one:
                settle_each(connection, states, settlements, self._instance)
            elif settlements:
                settle_open(connection, states, settlements)
            outcomes = open_entries(connection, states, openings, self._instance) if openings else []
            write_dues(connection, states)
        return outcomes

    def _remove(self, ids: Sequence[str]) -> None:
        with self._database.transaction_of(self._connection) as connection:
            remove_open(connection, ids)
        self._states.forget()
