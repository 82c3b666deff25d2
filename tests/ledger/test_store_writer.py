"""Groups that are written on the event loop, and those that the thread has to write instead."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from oruel.ledger import store_writer
from oruel.ledger.committer import Committer
from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.instances import Instance
from oruel.ledger.kept_connection import StoreBusy
from oruel.ledger.store_writer import StoreWriter
from oruel.ledger.tables import accounts, requests
from tests.ledger.books import add_account, add_key


def opening(id: str) -> Opening:
    now = time.time_ns() // 1000
    return Opening(id, f"req-{id}", "acc_1", "key_1", "demo", "standard", now, 100, 10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def books(file: Path) -> Iterator[Database]:
    store = Database.open(str(file))
    with store.transaction() as connection:
        add_account(connection, "acc_1", balance=10**9)
        add_key(connection, "key_1", "acc_1")
    yield store
    store.close()


@pytest.fixture
def writer(books: Database) -> StoreWriter:
    instance = Instance(books)
    instance.register()
    return StoreWriter(books, instance)


def statuses(store: Database) -> dict[str | None, int]:
    query = select(requests.c.status, func.count()).group_by(requests.c.status)
    with store.reading() as connection:
        return dict(connection.execute(query).all())


def balance(store: Database) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(accounts.c.balance)).scalar_one())


async def spend(committer: Committer, count: int) -> None:
    """Requests at the same time, of which each costs 30."""

    async def ask(number: int) -> None:
        outcome = await committer.open(opening(f"{number}"))
        assert outcome.refusal is None
        await committer.settle(Settlement(opening(f"{number}"), "finished", price=30))

    await asyncio.gather(*(ask(number) for number in range(count)))


def test_a_quick_store_is_written_without_the_thread(
    books: Database, writer: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_writer, "SLOW_SECONDS", 60)

    def refuse(openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool) -> list[Opened]:
        raise AssertionError("the thread has nothing to do")

    async def main() -> None:
        committer = Committer(refuse, writer.write_at_once)
        await spend(committer, 100)
        await committer.close()

    asyncio.run(main())
    assert statuses(books) == {"finished": 100}
    assert balance(books) == 10**9 - 3000


def test_requests_wait_in_the_thread_while_another_process_writes(
    books: Database, writer: StoreWriter, file: Path
) -> None:
    other = Database.open(str(file))

    async def main() -> None:
        committer = Committer(writer.write, writer.write_at_once)
        with other.transaction():
            spending = asyncio.create_task(spend(committer, 100))
            # The event loop goes on: nothing is opened, and nothing blocks.
            await asyncio.sleep(0.1)
            assert statuses(books) == {}
        await spending
        await committer.close()

    asyncio.run(main())
    other.close()
    assert statuses(books) == {"finished": 100}
    assert balance(books) == 10**9 - 3000


def test_a_write_that_was_slow_makes_the_thread_write_for_a_while(
    writer: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter((100.0, 100.5, 100.9, 101.1, 101.1))
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    assert writer.write_at_once([opening("a")], [])
    with pytest.raises(StoreBusy):
        writer.write_at_once([opening("b")], [])
    assert writer.write_at_once([opening("b")], [])


def test_the_write_ahead_log_begins_anew_while_writers_leave_no_gap(
    books: Database, writer: StoreWriter, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_writer, "SLOW_SECONDS", 60)
    monkeypatch.setattr(store_writer, "GROUPS_PER_CHECKPOINT", 20)
    log, sizes = file.with_name(file.name + "-wal"), []
    for number in range(200):
        entry = opening(f"{number}")
        try:
            writer.write_at_once([entry], [])
        except StoreBusy:
            writer.write([entry], [])
        sizes.append(log.stat().st_size)
    assert max(sizes) < 2 * sizes[20], "it never holds the groups of two checkpoints"
    assert statuses(books) == {None: 200}
