"""Openings and settlements on both stores: nothing is overspent, and everything adds up."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import func, select, update

from oruel.ledger import tables
from oruel.ledger.database import Database
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.group import GroupWriter
from oruel.ledger.kept_connection import StoreBusy
from oruel.ledger.pipelined_group import PipelinedWriter
from oruel.ledger.tables import accounts, keys, requests, spending
from tests.ledger.books import add_account, add_key
from tests.postgres import PostgresServer

USD = 10**12


def opening(id: str, *, key: str = "key_1", price: int = 100, tokens: int = 10, **fields: Any) -> Opening:
    account = "acc_1" if key != "key_3" else "acc_2"
    now = time.time_ns() // 1000
    return Opening(id, f"req-{id}", account, key, "demo", "standard", now, price, tokens, **fields)


@dataclass
class LoopWriter:
    """Writes on an event loop, and with a GroupWriter what that doesn't accept; as the Committer."""

    runner: asyncio.Runner
    pipelined: PipelinedWriter
    patient: GroupWriter
    refused: int = 0

    def write(
        self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool = False
    ) -> list[Opened]:
        try:
            if not again:
                return self.runner.run(self.pipelined.write(openings, settlements))
        except StoreBusy:
            self.refused += 1
            self.runner.run(self.pipelined.connect())
        return self.patient.write(openings, settlements, again=again)


@pytest.fixture(params=["sqlite", "postgresql", "postgresql, pipelined"])
def store_location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
def store(store_location: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """With a writer, which is the same for the whole test, because it keeps what it has read."""
    database = Database.open(store_location)
    WRITERS[database] = patient = GroupWriter(database, "here")
    if "pipelined" not in request.node.callspec.params["store_location"]:
        yield database
    else:
        with asyncio.Runner() as runner:
            pipelined = PipelinedWriter(database, "here")
            runner.run(pipelined.connect())
            WRITERS[database] = LoopWriter(runner, pipelined, patient)
            yield database
            runner.run(pipelined.close())
    database.close()


WRITERS: WeakKeyDictionary[Database, GroupWriter | LoopWriter] = WeakKeyDictionary()


@pytest.fixture
def books(store: Database) -> Database:
    with store.transaction() as connection:
        add_account(connection, "acc_1", balance=1000)
        add_account(connection, "acc_2")
        add_key(connection, "key_1", "acc_1", concurrent_requests=3)
        add_key(connection, "key_2", "acc_1", day_limit=500, tokens_per_minute=1000)
        add_key(connection, "key_3", "acc_2", month_limit=300)
    return store


def started(store: Database, *openings: Opening) -> list[bool]:
    return [outcome.refusal is None for outcome in WRITERS[store].write(openings, [])]


def settle(store: Database, *settlements: Settlement) -> None:
    WRITERS[store].write([], settlements)


def test_requests_of_one_group_count_one_another(books: Database) -> None:
    both = [opening("a", price=600), opening("b", key="key_2", price=450), opening("c", key="key_2", price=400)]
    assert started(books, *both) == [True, False, True]


def test_a_limit_of_concurrent_requests_counts_those_of_earlier_groups(books: Database) -> None:
    assert started(books, opening("a"), opening("b")) == [True, True]
    assert started(books, opening("c"), opening("d")) == [True, False]
    settle(books, Settlement(opening("a"), "finished"))
    assert started(books, opening("e"), opening("f")) == [True, False]


def test_spending_limits_count_what_was_spent_and_what_is_reserved(books: Database) -> None:
    assert started(books, opening("a", key="key_3", price=200)) == [True]
    assert started(books, opening("b", key="key_3", price=200)) == [False]
    settle(books, Settlement(opening("a", key="key_3", price=200), "finished", price=50))
    assert started(books, opening("c", key="key_3", price=250), opening("d", key="key_3", price=1)) == [True, False]


def test_a_settlement_in_the_same_group_makes_room_first(books: Database) -> None:
    assert started(books, opening("a", price=1000)) == [True]
    outcomes = WRITERS[books].write(
        [opening("b", price=900)], [Settlement(opening("a", price=1000), "finished", price=100)]
    )
    assert [outcome.refusal for outcome in outcomes] == [None]


def test_settling_releases_what_the_entry_reserves_whatever_the_settlement_knows_of_it(books: Database) -> None:
    """As for a client that left before the outcome of its opening was known."""
    assert started(books, opening("a", key="key_2", price=450, tokens=900)) == [True]
    settle(books, Settlement(opening("a", key="key_2", price=0, tokens=0), "disconnect"))
    assert started(books, opening("b", key="key_2", price=500, tokens=1000)) == [True]


def test_tokens_that_were_not_used_count_no_more(books: Database) -> None:
    assert started(books, opening("a", key="key_2", tokens=1000)) == [True]
    assert started(books, opening("b", key="key_2", tokens=500)) == [False]
    settle(
        books, Settlement(opening("a", key="key_2", tokens=1000), "finished", prompt_tokens=100, completion_tokens=50)
    )
    (outcome,) = WRITERS[books].write([opening("c", key="key_2", tokens=500)], [])
    assert outcome.refusal is None
    assert outcome.tokens is not None
    assert 350 <= outcome.tokens.remaining <= 400


def test_a_request_that_another_deployment_takes_over_counts_once(books: Database) -> None:
    with books.transaction() as connection:
        connection.execute(update(keys).where(keys.c.id == "key_2").values(requests_per_minute=2))
    assert started(books, opening("a", key="key_2", tokens=600, price=300)) == [True]
    taken_over = opening("a", key="key_2", tokens=700, price=400, replaces=True)
    (outcome,) = WRITERS[books].write([taken_over], [])
    assert outcome.refusal is None
    assert outcome.requests is not None
    assert outcome.tokens is not None
    assert (outcome.requests.remaining, outcome.tokens.remaining // 10) == (1, 30)
    assert started(books, opening("b", key="key_2", tokens=10, price=101)) == [False]
    assert started(books, opening("c", key="key_2", tokens=10, price=100)) == [True]


def test_repeating_a_group_changes_nothing(books: Database) -> None:
    """As after a commit whose confirmation was lost."""
    for again in (False, True, True):
        outcomes = WRITERS[books].write([opening("a", price=1000)], [], again=again)
        assert [outcome.refusal for outcome in outcomes] == [None]
    for _ in range(3):
        settle(books, Settlement(opening("a", price=900), "finished", price=300))
    with books.reading() as connection:
        assert connection.execute(select(accounts.c.balance).where(accounts.c.id == "acc_1")).scalar_one() == 700
        assert connection.execute(select(func.sum(requests.c.price))).scalar_one() == 300
        assert connection.execute(select(func.count()).select_from(requests)).scalar_one() == 1


def test_a_request_that_was_taken_for_crashed_is_charged_when_its_process_goes_on(books: Database) -> None:
    assert started(books, opening("a", price=900)) == [True]
    settle(books, Settlement(opening("a", price=900), "crashed"))
    assert started(books, opening("b", price=900)) == [True]
    settle(books, Settlement(opening("a", price=900), "finished", price=300))
    settle(books, Settlement(opening("a", price=900), "finished", price=300))
    with books.reading() as connection:
        assert connection.execute(select(accounts.c.balance).where(accounts.c.id == "acc_1")).scalar_one() == 700


def test_a_change_of_the_same_process_counts_at_once(books: Database) -> None:
    assert started(books, opening("a"), opening("b", key="key_2")) == [True, True]
    with books.transaction() as connection:
        connection.execute(update(keys).where(keys.c.id == "key_1").values(revoked=1))
        connection.execute(update(accounts).where(accounts.c.id == "acc_1").values(balance=250))
    assert started(books, opening("c")) == [False]
    assert started(books, opening("d", key="key_2"), opening("e", key="key_2", price=50)) == [False, True]


def test_a_change_of_another_process_counts_at_once(books: Database, store_location: str) -> None:
    assert started(books, opening("a", price=900)) == [True]
    other = Database.open(store_location)
    with other.transaction() as connection:
        connection.execute(update(accounts).where(accounts.c.id == "acc_1").values(balance=2000))
    other.close()
    assert started(books, opening("b", price=1100), opening("c", price=1)) == [True, False]


def test_two_hundred_requests_of_two_processes_do_not_overspend_a_balance(store: Database, store_location: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    balance = 20_000
    with store.transaction() as connection:
        add_account(connection, "acc_1", balance=balance)
        add_key(connection, "key_1", "acc_1")
        add_key(connection, "key_2", "acc_1")
    counts = run_spenders(
        [[store_location, key, "100", str(seed + number)] for number, key in enumerate(("key_1", "key_2"))]
    )
    with store.reading() as connection:
        left = connection.execute(select(accounts.c.balance)).scalar_one()
        rows = list(connection.execute(select(requests)))
        spent = dict(connection.execute(select(spending.c.period, func.sum(spending.c.spent)).group_by("period")).all())
    assert 0 <= left < balance
    assert left == balance - sum(row.price for row in rows)
    assert len(rows) == sum(counts) < 200
    assert {row.status for row in rows} == {"finished"}
    assert sum(row.reserved for row in rows) == 0
    assert {int(total) for total in spent.values()} == {balance - left}


def run_spenders(arguments: Sequence[Sequence[str]]) -> list[int]:
    """The number of requests that each started. All begin at the same moment."""
    command = [sys.executable, "-m", "tests.ledger.spender"]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen([*command, *given], stdin=pipe, stdout=pipe, text=True) for given in arguments]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        return [int(process.communicate(timeout=60)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_random_groups_add_up(books: Database) -> None:
    """Against sums that are kept in a plain dictionary."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    running: dict[str, Opening] = {}
    charged = {"acc_1": 0, "acc_2": 0}
    for step in range(60):
        new = [
            opening(f"{step}-{n}", key=rng.choice(["key_1", "key_2", "key_3"]), price=rng.randint(0, 200))
            for n in range(rng.randint(0, 4))
        ]
        ended = [
            Settlement(running.pop(id), "finished", price=rng.randint(0, running_price))
            for id, running_price in [(id, one.price) for id, one in running.items()]
            if rng.random() < 0.4
        ]
        outcomes = WRITERS[books].write(new, ended)
        for one in ended:
            charged[one.opening.account] += one.price
        running |= {one.id: one for one, outcome in zip(new, outcomes, strict=True) if outcome.refusal is None}
        with books.reading() as connection:
            reserved = connection.execute(select(func.sum(requests.c.reserved))).scalar_one() or 0
            balance = connection.execute(select(accounts.c.balance).where(accounts.c.id == "acc_1")).scalar_one()
        assert balance == 1000 - charged["acc_1"]
        assert balance >= sum(one.price for one in running.values() if one.account == "acc_1")
        assert reserved == sum(one.price for one in running.values())
        assert sum(one.key == "key_1" for one in running.values()) <= 3
    with books.reading() as connection:
        paid = connection.execute(select(func.sum(tables.credits.c.amount))).scalar_one()
        by_key = dict(connection.execute(select(requests.c.key, func.sum(requests.c.price)).group_by("key")).all())
        months = dict(connection.execute(select(spending.c.key, func.max(spending.c.spent)).group_by("key")).all())
        assert paid == 1000
        assert {key: int(total) for key, total in by_key.items() if total} == months
        assert set(by_key) <= set(connection.execute(select(keys.c.id)).scalars())
    writer = WRITERS[books]
    assert not isinstance(writer, LoopWriter) or writer.refused == 0
