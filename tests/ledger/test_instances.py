"""Which instances count as dead, and what becomes of the entries that they left open."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from oruel.ledger import instances as instances_module
from oruel.ledger.database import Database
from oruel.ledger.instances import LEASE_SECONDS, Instance, InstanceRecord, is_dead
from oruel.ledger.process import process_start, start_in_stat, this_host
from oruel.ledger.tables import idempotency, instances, requests
from tests.ledger.rows import add_request

ELSEWHERE = "another machine"
OPEN, CRASHED = (None, 1000, 10), ("crashed", 0, 0)


class ManualClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def entry(store: Database, name: str) -> tuple[str | None, int, int]:
    """Its status, and what it reserves."""
    columns = (requests.c.status, requests.c.reserved, requests.c.reserved_tokens)
    with store.reading() as connection:
        status, reserved, tokens = connection.execute(select(*columns).where(requests.c.id == name)).one()
    return status, reserved, tokens


def registered(store: Database) -> set[str]:
    with store.reading() as connection:
        return set(connection.execute(select(instances.c.id)).scalars())


def waiting_keys(store: Database) -> set[str]:
    with store.reading() as connection:
        return set(connection.execute(select(idempotency.c.key)).scalars())


def open_request(store: Database, name: str, instance: str) -> None:
    with store.transaction() as connection:
        add_request(connection, name, instance)


def move(store: Database, instance: Instance, **values: object) -> None:
    """Changes what the store says of an instance, such as its host."""
    with store.transaction() as connection:
        connection.execute(update(instances).where(instances.c.id == instance.id).values(values))


def joined(store: Database, clock: ManualClock | None = None) -> Instance:
    instance = Instance(store, clock or ManualClock())
    instance.register()
    return instance


RECORD = InstanceRecord("id", "here", 7, "start", lease=0)


@pytest.mark.parametrize(
    ("host", "running", "unchanged", "dead"),
    [
        ("here", "start", 0, False),
        ("here", "start", 1e9, False),  # Stopped, but it may go on.
        ("here", "another start", 0, True),
        ("here", None, 0, True),
        ("here", "", 0, False),
        ("here", "", LEASE_SECONDS, False),
        ("here", "", LEASE_SECONDS + 1, True),
        ("there", "start", 0, False),
        ("there", None, 0, False),
        ("there", None, LEASE_SECONDS, False),
        ("there", "start", LEASE_SECONDS + 1, True),
    ],
)
def test_the_process_decides_on_its_host_and_the_lease_elsewhere(
    host: str, running: str | None, unchanged: float, dead: bool
) -> None:
    assert is_dead(RECORD, host, running, unchanged) is dead


def test_the_start_of_a_process_is_found_behind_any_name() -> None:
    fields = " ".join(["S", *map(str, range(4, 22)), "12345", "23"])
    assert start_in_stat(f"7 (cat) {fields}") == "12345"
    assert start_in_stat(f"7 (a) S (b c) {fields}") == "12345"
    assert start_in_stat(f"7 (cat) Z{fields[1:]}") is None


def test_a_process_has_one_start_until_it_ends() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid()) != ""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert process_start(process.pid) not in ("", None, process_start(os.getpid()))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_start(process.pid) is None, "a zombie has ended"
    finally:
        process.kill()
        process.wait()
    assert process_start(process.pid) is None


def test_a_host_has_one_name() -> None:
    inside = [sys.executable, "-c", "from oruel.ledger.process import this_host; print(this_host())"]
    assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout.strip() == this_host()


def test_the_entries_of_a_living_instance_stay_open(store: Database) -> None:
    instance, other = joined(store), joined(store)
    open_request(store, "one", instance.id)
    open_request(store, "two", other.id)
    assert instance.reap() == other.reap() == 0
    assert entry(store, "one") == entry(store, "two") == OPEN
    assert waiting_keys(store) == {"one", "two"}
    assert registered(store) == {instance.id, other.id}


def test_settled_entries_and_answered_keys_of_a_dead_instance_stay(store: Database) -> None:
    instance, dead = joined(store), joined(store)
    with store.transaction() as connection:
        add_request(connection, "open", dead.id)
        add_request(connection, "settled", dead.id, status="finished", price=7, reserved=0, reserved_tokens=0)
        connection.execute(update(idempotency).where(idempotency.c.key == "settled").values(answer="{}"))
    move(store, dead, started="another start")
    assert instance.reap() == 1
    assert entry(store, "open") == CRASHED
    assert entry(store, "settled") == ("finished", 0, 0)
    with store.reading() as connection:
        prices = connection.execute(select(requests.c.id, requests.c.price)).all()
    assert set(prices) == {("open", 0), ("settled", 7)}
    assert waiting_keys(store) == {"settled"}
    assert registered(store) == {instance.id}
    assert instance.reap() == 0


def test_entries_of_an_instance_that_is_not_registered_are_crashed(store: Database) -> None:
    instance = joined(store)
    open_request(store, "one", "nobody")
    assert instance.reap() == 1
    assert entry(store, "one") == CRASHED


def test_instances_that_reap_at_once_settle_each_entry_once(store: Database, store_location: str) -> None:
    stores = [Database.open(store_location) for _ in range(4)]
    reapers = [joined(one) for one in stores]
    dead = [joined(store) for _ in range(3)]
    for number, instance in enumerate(dead):
        open_request(store, f"request {number}", instance.id)
        move(store, instance, started="another start")
    start = threading.Barrier(len(reapers))
    crashed: list[int] = []

    def reap(instance: Instance) -> None:
        start.wait()
        crashed.append(instance.reap())

    threads = [threading.Thread(target=reap, args=(instance,)) for instance in reapers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in stores:
        one.close()
    assert sum(crashed) == 3
    assert registered(store) == {instance.id for instance in reapers}


def test_a_running_instance_renews_its_lease_and_reaps(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances_module, "RENEW_SECONDS", 0.01)
    instance, dead = joined(store), joined(store)
    move(store, instance, lease=0)
    open_request(store, "one", dead.id)
    move(store, dead, started="another start")

    async def run() -> None:
        task = asyncio.create_task(instance.keep_alive())
        async with asyncio.timeout(30):
            while entry(store, "one") == OPEN:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    with store.reading() as connection:
        assert connection.execute(select(instances.c.lease)).scalar_one() > 0


def test_an_instance_elsewhere_is_dead_once_it_has_not_renewed_its_lease(store: Database) -> None:
    clock = ManualClock()
    instance, other = joined(store, clock), joined(store)
    move(store, other, host=ELSEWHERE)
    open_request(store, "one", other.id)
    assert instance.reap() == 0
    clock.seconds += LEASE_SECONDS
    assert instance.reap() == 0
    other.renew()
    clock.seconds += 1
    assert instance.reap() == 0, "it has renewed"
    clock.seconds += LEASE_SECONDS
    assert instance.reap() == 0
    clock.seconds += 1
    assert instance.reap() == 1
    assert entry(store, "one") == CRASHED


@pytest.mark.parametrize("lease", [0, 2**62])
def test_a_clock_that_goes_back_or_forward_neither_kills_nor_revives(lease: int, store: Database) -> None:
    """Seen by an instance whose clock of the day jumped, the other's lease ended long ago, or ends in years."""
    clock = ManualClock()
    instance, other = joined(store, clock), joined(store)
    move(store, other, host=ELSEWHERE, lease=lease)
    open_request(store, "one", other.id)
    assert instance.reap() == 0
    clock.seconds += LEASE_SECONDS + 1
    assert instance.reap() == 1


def test_an_instance_that_was_taken_for_dead_comes_back(store: Database) -> None:
    clock = ManualClock()
    instance, other = joined(store), joined(store, clock)
    move(store, other, started="another start")
    open_request(store, "before", other.id)
    assert instance.reap() == 1
    other.renew_if_due()
    assert registered(store) == {instance.id}, "renewals are on time, so it asks nothing"
    clock.seconds += 11
    other.renew_if_due()
    open_request(store, "after", other.id)
    assert instance.reap() == 0
    assert entry(store, "before") == CRASHED
    assert entry(store, "after") == OPEN


def test_an_instance_that_leaves_leaves_nothing_open(store: Database) -> None:
    instance, other = joined(store), joined(store)
    open_request(store, "one", instance.id)
    open_request(store, "two", other.id)
    instance.leave()
    assert entry(store, "one") == CRASHED
    assert entry(store, "two") == OPEN
    assert registered(store) == {other.id}


SERVER = """
import sys, time
from oruel.ledger import instances as instances_module
from oruel.ledger.database import Database
from oruel.ledger.instances import Instance
from tests.ledger.rows import add_request
store = Database.open(sys.argv[1])
instance = Instance(store)
instance.register()
with store.transaction() as connection:
    add_request(connection, sys.argv[2], instance.id)
print(instance.id, flush=True)
time.sleep(600)
"""


@contextmanager
def server_process(location: str, request: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has registered and opened an entry."""
    command = [sys.executable, "-c", SERVER, location, request]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_left_open_is_crashed_at_once(store: Database, store_location: str) -> None:
    instance = joined(store)
    with server_process(store_location, "living"), server_process(store_location, "killed") as killed:
        assert instance.reap() == 0
        os.kill(killed.pid, signal.SIGKILL)
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        assert instance.reap() == 1, "before its parent asks for its exit status"
        assert entry(store, "killed") == CRASHED
        assert entry(store, "living") == OPEN
        assert waiting_keys(store) == {"living"}


def test_a_stopped_process_is_never_taken_for_dead(store: Database, store_location: str) -> None:
    clock = ManualClock()
    instance = joined(store, clock)
    with server_process(store_location, "stopped") as stopped:
        os.kill(stopped.pid, signal.SIGSTOP)
        assert instance.reap() == 0
        clock.seconds += 1000 * LEASE_SECONDS
        assert instance.reap() == 0
        assert entry(store, "stopped") == OPEN
        os.kill(stopped.pid, signal.SIGCONT)
