"""Accounts with balances, and keys with limits, for the tests of what is recorded."""

from typing import Any

from sqlalchemy import Connection, insert

from oruel.ledger import tables
from oruel.ledger.tables import accounts, keys


def add_account(connection: Connection, id: str, balance: int | None = None) -> None:
    connection.execute(insert(accounts), [{"id": id, "name": id, "balance": balance, "created": 0}])
    if balance:
        paid = {"id": f"credit of {id}", "account": id, "amount": balance, "note": "", "created": 0}
        connection.execute(insert(tables.credits), [paid])


def add_key(connection: Connection, id: str, account: str, **limits: Any) -> None:
    row = {"id": id, "account": account, "name": id, "digest": f"digest of {id}", "hint": "0000", "scopes": "inference"}
    connection.execute(insert(keys), [{**row, "created": 0, "requests_due": 0, "tokens_due": 0, **limits}])
