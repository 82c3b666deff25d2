"""The server processes that share a store, and what happens to the open entries of one that died."""

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog
from sqlalchemy import Connection, and_, delete, exists, insert, select, update

from oruel.ledger.database import Database
from oruel.ledger.idempotency import forget_expired
from oruel.ledger.polling import repeat
from oruel.ledger.process import process_start, this_host
from oruel.ledger.tables import idempotency, instances, meta, requests

LEASE_SECONDS = 15
RENEW_SECONDS = 5
"""How often an instance renews its lease, and looks for dead ones."""

log = structlog.get_logger("oruel.ledger")

ORPHANED = and_(requests.c.status.is_(None), requests.c.instance.not_in(select(instances.c.id)))
"""Entries that no running instance will settle."""


def boot_seconds() -> float:
    """A clock that can't be set, and that continues while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """What the store says of an instance. `lease` is in microseconds since the epoch."""

    id: str
    host: str
    pid: int
    started: str
    lease: int


def is_dead(record: InstanceRecord, host: str, running: str | None, unchanged: float) -> bool:
    """On the same `host`, the process decides: `running` is the start of the one that has its pid now, None if there is
    none, "" if unknown. Elsewhere, an instance that hasn't renewed its lease for `unchanged` seconds is dead. No clock
    of the day takes part, since that may be set.
    """
    if record.host == host and running != "":
        return running != record.started
    return unchanged > LEASE_SECONDS


class Instance:
    """This process's part in the store. `clock` returns seconds that only grow."""

    def __init__(self, database: Database, clock: Callable[[], float] = boot_seconds) -> None:
        self.id = secrets.token_hex(8)
        self._database = database
        self._clock = clock
        self._host = this_host()
        self._started = process_start(os.getpid()) or ""
        self._renewed = clock()
        self._renewing = threading.Lock()
        self._first_seen: dict[tuple[str, int], float] = {}
        """When each other instance, by its id, was first seen to have its lease."""

    def register(self) -> None:
        """Raises StoreUnavailable."""
        with self._database.transaction() as connection:
            self._insert(connection)
        self._renewed = self._clock()

    def renew(self) -> None:
        """Registers again if others took this instance for dead, because it was stopped or cut off for too long. Also
        removes stored answers that have expired, so that they don't wait for the next Idempotency-Key. Raises
        StoreUnavailable.
        """
        with self._renewing:
            start = self._clock()
            with self._database.transaction() as connection:
                lease = self._next_lease(connection)
                forget_expired(connection, self._database.now(connection))
                renewed = connection.execute(update(instances).where(instances.c.id == self.id).values(lease=lease))
                if not renewed.rowcount:
                    log.warning("this instance was taken for dead; its open requests are recorded as crashed")
                    self._insert(connection)
            self._renewed = start

    def renew_if_due(self) -> None:
        """To be called before entries are opened: an instance that was stopped must not open any as a dead one. Asks
        the store nothing while renewals are on time. Raises StoreUnavailable.
        """
        if not self.is_on_time:
            self.renew()

    @property
    def is_on_time(self) -> bool:
        """Whether the store has accepted the last renewals."""
        return self._clock() - self._renewed <= 2 * RENEW_SECONDS

    def reap(self) -> int:
        """Settles what dead instances left open as crashed, at no price. Returns how many entries those were. Raises
        StoreUnavailable.
        """
        with self._database.reading() as connection:
            others = [record for record in read_instances(connection) if record.id != self.id]
            has_orphans = connection.execute(select(exists().where(ORPHANED))).scalar_one()
        dead = self._find_dead(others)
        if not dead and not has_orphans:
            return 0
        with self._database.transaction() as connection:
            lock_reaping(connection)
            for record in dead:
                # Unless it has renewed its lease meanwhile.
                same = and_(instances.c.id == record.id, instances.c.lease == record.lease)
                connection.execute(delete(instances).where(same))
            crashed = crash_orphans(connection)
        if crashed:
            log.warning("settled the requests of dead instances as crashed", requests=crashed)
        return crashed

    async def keep_alive(self) -> None:
        """Renews the lease and looks for dead instances, until cancelled."""
        await repeat(self._beat, every=RENEW_SECONDS)

    def leave(self) -> None:
        """What is still open counts as crashed from now on. Raises StoreUnavailable."""
        with self._database.transaction() as connection:
            lock_reaping(connection)
            connection.execute(delete(instances).where(instances.c.id == self.id))
            crash_orphans(connection)

    def _beat(self) -> None:
        self.renew()
        self.reap()

    def _insert(self, connection: Connection) -> None:
        lease = self._next_lease(connection)
        record = InstanceRecord(self.id, self._host, os.getpid(), self._started, lease)
        connection.execute(insert(instances).values(asdict(record)))

    def _next_lease(self, connection: Connection) -> int:
        return self._database.now(connection) + LEASE_SECONDS * 1_000_000

    def _find_dead(self, others: list[InstanceRecord]) -> list[InstanceRecord]:
        now = self._clock()
        known = self._first_seen
        self._first_seen = {(record.id, record.lease): known.get((record.id, record.lease), now) for record in others}
        return [
            record
            for record in others
            if is_dead(
                record,
                self._host,
                process_start(record.pid) if record.host == self._host else "",
                now - self._first_seen[record.id, record.lease],
            )
        ]


def lock_reaping(connection: Connection) -> None:
    """Instances that reap at the same time would wait for each other's rows."""
    connection.execute(Database.locking(select(meta.c.program)))


def read_instances(connection: Connection) -> list[InstanceRecord]:
    return [InstanceRecord(**row) for row in connection.execute(select(instances)).mappings()]


def crash_orphans(connection: Connection) -> int:
    """Also frees their Idempotency-Keys, so that the clients can repeat the requests."""
    unanswered = and_(idempotency.c.answer.is_(None), idempotency.c.request.in_(select(requests.c.id).where(ORPHANED)))
    connection.execute(delete(idempotency).where(unanswered))
    settled = update(requests).where(ORPHANED).values(status="crashed", price=0, reserved=0, reserved_tokens=0)
    return connection.execute(settled).rowcount
