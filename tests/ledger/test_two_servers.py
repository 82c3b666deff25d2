"""Two `oruel serve` processes on one PostgreSQL: what one does, the other knows; if one dies, the other goes on."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.money import UNITS_PER_USD
from tests.ledger.audit import Row, audit
from tests.ledger.serving import (
    KEY_SECRET,
    USD_OF_ONE,
    Answered,
    Clients,
    Outcome,
    Refused,
    Site,
    VariedAnswers,
    ask,
    assert_recorded,
    site,
    until,
)
from tests.postgres import PostgresServer
from tests.server import RunningServer

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.anyio]

Keys = Mapping[str, tuple[float | None, KeyTerms]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_key_that_the_operator_revokes_is_refused_by_both_servers(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with fleet(postgres, tmp_path, {"team": (None, KeyTerms())}) as both:
        assert all(isinstance(one, Answered) for one in await both.ask_at_once("team", 2))
        environment = {**os.environ, "ORUEL_STORE": both.place.store, "ORUEL_KEY_SECRET": KEY_SECRET}
        (key,) = postgres.execute("SELECT id FROM keys", both.place.store)
        command = [sys.executable, "-m", "oruel", "keys", "revoke", key]
        await asyncio.to_thread(subprocess.run, command, env=environment, check=True, capture_output=True)
        # What the documentation promises.
        await asyncio.sleep(2)
        outcomes = await both.ask_at_once("team", 2)
    assert [one.status for one in outcomes if isinstance(one, Refused)] == [401, 401]


async def test_limits_hold_across_both_servers(postgres: PostgresServer, tmp_path: Path) -> None:
    """Each request reserves the same amount, and runs until all others have been started or refused."""
    keys: Keys = {
        "poor": (USD_OF_ONE * 3.5, KeyTerms()),
        "thrifty": (None, KeyTerms(day_limit=round(USD_OF_ONE * 4.5 * UNITS_PER_USD))),
        "slow": (None, KeyTerms(requests_per_minute=5)),
        "narrow": (None, KeyTerms(concurrent_requests=6)),
    }
    async with fleet(postgres, tmp_path, keys, seconds_per_token=0.2) as both:
        asked = await asyncio.gather(*(both.ask_at_once(name, 20) for name in keys))
        outcomes = dict(zip(keys, asked, strict=True))
        books = audit(both.place.store)
    books.assert_settled()
    answered = {name: [one for one in outcomes[name] if isinstance(one, Answered)] for name in keys}
    assert {name: len(found) for name, found in answered.items()} == {"poor": 3, "thrifty": 4, "slow": 5, "narrow": 6}
    assert_recorded([one for found in answered.values() for one in found], books)
    refused = {name: {one.code for one in outcomes[name] if isinstance(one, Refused)} for name in keys}
    assert refused == {
        "poor": {"insufficient_funds"},
        "thrifty": {"spending_limit_reached"},
        "slow": {"rate_limit_exceeded"},
        "narrow": {"rate_limit_exceeded"},
    }


async def test_killing_one_server_leaves_the_other_serving_which_settles_what_was_open(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with fleet(postgres, tmp_path, {"rich": (100.0, KeyTerms()), "free": (None, KeyTerms())}) as both:
        victim, survivor = both.servers
        dice = both.answers.random
        doomed, served = Clients(dice), Clients(dice)
        loads = [
            asyncio.create_task(clients.load(server.base_url, both.place.keys, clients_of_each=4))
            for clients, server in ((doomed, victim), (served, survivor))
        ]
        await until(lambda: len(doomed.answered) >= 10 and len(served.answered) >= 10)
        killed = instance_of(both.place, victim)
        victim.process.kill()
        await asyncio.to_thread(victim.process.wait)
        assert open_entries(both.place, killed)
        await until(lambda: not open_entries(both.place, killed))
        before = len(served.answered)
        await until(lambda: len(served.answered) >= before + 10)
        survivor.process.terminate()
        await asyncio.gather(*loads)
        assert await asyncio.to_thread(survivor.process.wait, 60) == 0
    books = audit(both.place.store)
    books.assert_settled()
    assert_recorded(doomed.answered + served.answered, books)
    assert not doomed.refused + served.refused
    assert {row["instance"] for row in books.requests.values() if row["status"] == "crashed"} == {killed}
    assert not books.instances
    assert "Traceback" not in "".join(survivor.lines)


async def test_a_server_that_was_stopped_for_long_is_waited_for_on_its_host_and_taken_for_dead_elsewhere(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Either way, each request is charged once."""
    async with fleet(postgres, tmp_path, {"rich": (100.0, KeyTerms())}, servers=3, seconds_per_token=0.2) as three:
        place, (here, elsewhere, _) = three.place, three.servers
        asked = [asyncio.create_task(three.ask(server, "rich")) for server in (0, 0, 1, 1)]
        instances = instance_of(place, here), instance_of(place, elsewhere)
        await until(lambda: [len(open_entries(place, one)) for one in instances] == [2, 2])
        postgres.execute(f"UPDATE instances SET host = 'elsewhere' WHERE id = '{instances[1]}'", place.store)
        for server in (here, elsewhere):
            server.process.send_signal(signal.SIGSTOP)
        await until(lambda: not open_entries(place, instances[1]))
        while_stopped = audit(place.store)
        assert while_stopped.count("crashed") == len(open_entries(place, instances[0])) == 2
        for server in (here, elsewhere):
            server.process.send_signal(signal.SIGCONT)
        outcomes = await asyncio.gather(*asked)
        for server in three.servers:
            server.process.terminate()
            assert await asyncio.to_thread(server.process.wait, 60) == 0
    books = audit(place.store)
    books.assert_settled()
    assert_recorded([one for one in outcomes if isinstance(one, Answered)], books)
    assert books.count("finished") == len(books.requests) == len(outcomes)
    assert "taken for dead" in "".join(elsewhere.lines)
    assert "taken for dead" not in "".join(here.lines)
    assert "Traceback" not in "".join(here.lines + elsewhere.lines)


@dataclass
class Fleet:
    place: Site
    servers: list[RunningServer]
    answers: VariedAnswers

    async def ask_at_once(self, key: str, count: int) -> list[Outcome]:
        """`count` requests, half of them to each of the first two servers."""
        return await asyncio.gather(*(self.ask(number % 2, key) for number in range(count)))

    async def ask(self, server: int, key: str) -> Outcome:
        async with httpx2.AsyncClient(base_url=self.servers[server].base_url, timeout=60) as client:
            return await ask(client, self.place.keys[key])


@asynccontextmanager
async def fleet(
    postgres: PostgresServer, folder: Path, keys: Keys, *, servers: int = 2, seconds_per_token: float = 0.01
) -> AsyncIterator[Fleet]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    answers = VariedAnswers(random.Random(seed), seconds_per_token, fewest_tokens=20)
    async with site(postgres.create_database(), folder, answers, keys) as place:
        with ExitStack() as up:
            yield Fleet(place, [up.enter_context(place.serve()) for _ in range(servers)], answers)


def instance_of(place: Site, server: RunningServer) -> str:
    (found,) = (id for id, pid in audit(place.store).instances.items() if pid == server.process.pid)
    return found


def open_entries(place: Site, instance: str) -> list[Row]:
    return [row for row in audit(place.store).open if row["instance"] == instance]
