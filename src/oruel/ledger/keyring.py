"""The keys of the store in memory, so that checking one asks the store nothing."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

import structlog
from sqlalchemy import Connection, RowMapping, select

from oruel.errors import StoreError
from oruel.ledger.caller import ANONYMOUS, Caller
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.polling import repeat
from oruel.ledger.tables import keys, meta

POLL_SECONDS = 0.5
"""How long a change of a key takes at most to reach every instance."""

CACHE_SCOPE_DIGITS = 16

log = structlog.get_logger("oruel.ledger")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """`expires` is in microseconds since the epoch, None for never."""

    digest: str
    caller: Caller
    expires: int | None
    revoked: bool

    def is_valid(self, now: int) -> bool:
        return not self.revoked and (self.expires is None or now < self.expires)


NO_KEY = KeyRecord(digest="0" * 64, caller=ANONYMOUS, expires=None, revoked=True)


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """All keys as of one moment, also revoked and expired ones, by digest. `changes` counts the store's changes."""

    changes: int
    records: Mapping[str, KeyRecord]


class Keyring:
    """Threads may share it. Reads the keys when it is made: raises StoreUnavailable, and StoreError if they were made
    with another secret.
    """

    def __init__(self, database: Database, secret: KeySecret) -> None:
        self._database = database
        self._secret = secret
        self._refreshing = threading.Lock()
        with database.reading() as connection:
            secret.require(connection)
            self._snapshot = read_keys(connection, secret)

    @property
    def has_keys(self) -> bool:
        """Also if all are revoked or expired: revoking the last key must not open the server to everyone."""
        return bool(self._snapshot.records)

    def find(self, key: str) -> Caller | None:
        """None for what isn't a valid key. The work is the same for unknown, revoked and expired ones."""
        digest = self._secret.digest(key)
        record = self._snapshot.records.get(digest, NO_KEY)
        is_same = compare_digest(record.digest, digest)
        is_valid = record.is_valid(time.time_ns() // 1000)
        return record.caller if is_same and is_valid else None

    def refresh(self) -> None:
        """Reads the keys again if the store has changed. Raises StoreUnavailable, and keeps those it has then."""
        with self._refreshing, self._database.reading() as connection:
            if connection.execute(select(meta.c.changes)).scalar_one() == self._snapshot.changes:
                return
            self._snapshot = read_keys(connection, self._secret)
            try:
                self._secret.require(connection)
            except StoreError as error:
                log.error("no key of the store is valid here", reason=error.message)

    async def poll(self) -> None:
        """Refreshes until cancelled."""
        await repeat(self.refresh, every=POLL_SECONDS)


def read_keys(connection: Connection, secret: KeySecret) -> KeySnapshot:
    changes: int = connection.execute(select(meta.c.changes)).scalar_one()
    rows = connection.execute(select(keys)).mappings()
    return KeySnapshot(changes, {row["digest"]: read_key(row, secret) for row in rows})


def read_key(row: RowMapping, secret: KeySecret) -> KeyRecord:
    caller = Caller(
        account=row["account"],
        key=row["id"],
        cache_scope=secret.digest(f"prefix cache:{row['account']}")[:CACHE_SCOPE_DIGITS],
        scopes=tuple(row["scopes"].split()),
        models=None if row["models"] is None else tuple(json.loads(row["models"])),
        tiers=None if row["tiers"] is None else tuple(row["tiers"].split()),
    )
    return KeyRecord(row["digest"], caller, row["expires"], revoked=row["revoked"] is not None)
