"""Writes everything that waits in one transaction."""

from collections.abc import Sequence

from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.opening import close_replaced, open_entries
from oruel.ledger.settling import settle_entries
from oruel.ledger.states import lock_states, read_sums, write_dues


def write_group(
    database: Database,
    instance: str,
    openings: Sequence[Opening],
    settlements: Sequence[Settlement],
    *,
    again: bool = False,
) -> list[Opened]:
    """The outcome of each opening. Settlements come first: they release what the openings may need. `again`: an earlier
    attempt may have been committed although the connection failed. Raises StoreUnavailable.
    """
    with database.transaction() as connection:
        states = lock_states(connection, database, openings, settlements)
        if settlements:
            settle_entries(connection, states, settlements, instance)
        if replaced := [opening.id for opening in openings if again or opening.replaces]:
            close_replaced(connection, replaced)
        outcomes: list[Opened] = []
        if openings:
            read_sums(connection, states)
            outcomes = open_entries(connection, states, openings, instance)
        write_dues(connection, states)
    return outcomes
