"""Rows for the tests of the store."""

import time
from typing import Any

from sqlalchemy import Connection, insert, update

from oruel.ledger.tables import accounts, idempotency, keys, meta, requests


def microseconds() -> int:
    return time.time_ns() // 1000


def add_account(connection: Connection, name: str) -> str:
    """Returns its id."""
    connection.execute(insert(accounts).values(id=f"account-{name}", name=name, created=0))
    return f"account-{name}"


def add_key(connection: Connection, digest: str, account: str, **values: Any) -> str:
    """Returns its id."""
    row = {
        "id": f"key-{digest[:8]}",
        "account": account,
        "name": "",
        "digest": digest,
        "hint": "0000",
        "scopes": "inference",
        "created": 0,
        "requests_due": 0,
        "tokens_due": 0,
        **values,
    }
    connection.execute(insert(keys).values(row))
    note_change(connection)
    return str(row["id"])


def note_change(connection: Connection) -> None:
    connection.execute(update(meta).values(changes=meta.c.changes + 1))


def add_request(connection: Connection, name: str, instance: str, **values: Any) -> None:
    """An open entry, and an Idempotency-Key that waits for its answer."""
    row = {
        "id": name,
        "request_id": name,
        "instance": instance,
        "model": "demo",
        "tier": "standard",
        "created": 0,
        "day": "1970-01-01",
        "reserved": 1000,
        "reserved_tokens": 10,
        "prompt_tokens": 0,
        "cached_tokens": 0,
        "completion_tokens": 0,
        "estimated": False,
        "price": 0,
        "cost": 0,
        **values,
    }
    connection.execute(insert(requests).values(row))
    connection.execute(insert(idempotency).values(owner="", key=name, fingerprint="", request=name, created=0))
