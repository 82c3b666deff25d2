"""What tests of the store itself put into it, in addition to accounts and keys (books.py)."""

from typing import Any

from sqlalchemy import Connection, insert, update

from oruel.ledger.tables import idempotency, meta, requests


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
