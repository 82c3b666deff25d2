"""Rows of the ledger, written without the code under test."""

from typing import Any

from sqlalchemy import Connection, insert

from oruel.ledger.tables import requests

_count = iter(range(10**9))


def record(connection: Connection, **fields: Any) -> None:
    """A finished request, unless `fields` say otherwise; status=None leaves it open."""
    plain: dict[str, Any] = {
        "id": f"chatcmpl-{next(_count)}", "request_id": "req-1", "instance": "i", "account": None, "key": None,
        "model": "demo", "tier": "standard", "deployment": "engine", "created": 0, "day": "2026-11-28",
        "status": "finished", "reserved": 0, "reserved_tokens": 0, "prompt_tokens": 0, "cached_tokens": 0,
        "completion_tokens": 0, "estimated": False, "price": 0, "cost": 0,
    }  # fmt: skip
    connection.execute(insert(requests).values(plain | fields))
