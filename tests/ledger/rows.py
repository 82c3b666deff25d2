"""Rows that tests put into the store."""

from typing import Any

from sqlalchemy import Connection, insert, update

from oruel.ledger import tables
from oruel.ledger.tables import accounts, idempotency, keys, meta, requests


def add_account(connection: Connection, id: str, balance: int | None = None) -> None:
    connection.execute(insert(accounts), [{"id": id, "name": id, "balance": balance, "created": 0}])
    if balance:
        paid = {"id": f"credit of {id}", "account": id, "amount": balance, "note": "", "created": 0}
        connection.execute(insert(tables.credits), [paid])


def add_key(connection: Connection, id: str, account: str, **limits: Any) -> None:
    row = {"id": id, "account": account, "name": id, "digest": f"digest of {id}", "hint": "0000", "scopes": "inference"}
    connection.execute(insert(keys), [{**row, "created": 0, "requests_due": 0, "tokens_due": 0, **limits}])


def note_change(connection: Connection) -> None:
    """Every change of an account or key counts, so that the instances read them again."""
    connection.execute(update(meta).values(changes=meta.c.changes + 1))


def add_request(connection: Connection, id: str, instance: str, **values: Any) -> None:
    """An open entry, and an Idempotency-Key that waits for its answer."""
    numbers = ("prompt_tokens", "cached_tokens", "completion_tokens", "price", "cost", "created")
    row = {"id": id, "request_id": id, "instance": instance, "model": "demo", "tier": "standard", "day": "1970-01-01"}
    reserved = {"reserved": 1000, "reserved_tokens": 10}
    connection.execute(
        insert(requests), [{**row, **dict.fromkeys(numbers, 0), **reserved, "estimated": False, **values}]
    )
    connection.execute(insert(idempotency), [{"owner": "", "key": id, "fingerprint": "", "request": id, "created": 0}])
