"""The store on SQLite and PostgreSQL."""

from oruel.ledger.database import Database


def test_it_opens(store: Database) -> None:
    with store.transaction() as c:
        print(store.now(c))
