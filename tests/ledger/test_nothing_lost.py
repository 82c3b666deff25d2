"""What clients saw and what the ledger says agree, when the server is killed and when it stops."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.money import UNITS_PER_USD
from tests.ledger.audit import Audit, audit
from tests.ledger.serving import CarefulClient, Clients, Site, VariedAnswers, assert_recorded, site, until
from tests.server import RunningServer

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.anyio]

KEYS = {
    "rich": (100.0, KeyTerms()),
    "poor": (0.02, KeyTerms()),
    "free": (None, KeyTerms()),
    "careful": (100.0, KeyTerms()),
    "limited": (None, KeyTerms(concurrent_requests=2, requests_per_minute=2000, tokens_per_minute=10**6)),
    "thrifty": (10.0, KeyTerms(day_limit=UNITS_PER_USD // 50)),
}
REFUSALS = {"insufficient_funds", "rate_limit_exceeded", "spending_limit_reached"}
KILLS = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def seed() -> int:
    chosen = random.randrange(2**32)
    print(f"seed {chosen}")
    return chosen


def assert_no_surprises(clients: Clients, server: RunningServer) -> None:
    assert {one.code for one in clients.refused} <= REFUSALS
    assert "Traceback" not in "".join(server.lines)


async def under_way(clients: Clients, more: int) -> None:
    """Returns after so many `more` outcomes."""
    goal = len(clients.outcomes) + more
    await until(lambda: len(clients.outcomes) >= goal)


async def kill_under_load(place: Site, clients: Clients, careful: Sequence[CarefulClient]) -> None:
    with place.serve() as server:
        books = audit(place.store)
        books.assert_settled()
        assert_recorded(clients.answered, books)
        careless = {name: key for name, key in place.keys.items() if name != "careful"}
        async with asyncio.TaskGroup() as loading:
            loading.create_task(clients.load(server.base_url, careless, clients_of_each=3, leave=0.1))
            for one in careful:
                loading.create_task(one.load(server.base_url, place.keys["careful"]))
            await under_way(clients, 5)
            await asyncio.sleep(clients.random.random())
            server.process.kill()
    assert_no_surprises(clients, server)


async def test_killing_the_server_under_load_loses_no_request_whose_client_saw_its_end(
    store_location: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    clients, careful = Clients(dice), [CarefulClient(f"client-{number}") for number in range(3)]
    async with site(store_location, tmp_path, VariedAnswers(dice), KEYS) as place:
        for _ in range(KILLS):
            await kill_under_load(place, clients, careful)
        assert audit(store_location).open
        with place.serve() as server:
            books, asked = audit(store_location), len(place.upstream.bodies)
            await asyncio.gather(*(one.ask_once(server.base_url, place.keys["careful"]) for one in careful))
    # Nothing reaches a deployment before its opening is in the store.
    assert len(books.requests) >= asked
    books.assert_settled()
    assert_recorded(clients.answered, books)
    assert books.count("crashed") >= KILLS
    assert len(clients.answered) >= 2 * KILLS
    assert_charged_once(careful, audit(store_location))


async def test_a_server_that_stops_in_order_settles_every_request(
    store_location: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    clients = Clients(dice)
    async with site(store_location, tmp_path, VariedAnswers(dice), KEYS) as place:
        with place.serve() as server:
            loading = asyncio.create_task(clients.load(server.base_url, place.keys, clients_of_each=4, leave=0.1))
            await under_way(clients, 30)
            server.process.terminate()
            await loading
            assert await asyncio.to_thread(server.process.wait, 30) == 0
    books = audit(store_location)
    books.assert_settled()
    assert_recorded(clients.answered, books)
    assert books.count("crashed") == books.count("error") == 0
    assert books.count("finished") == len(clients.answered)
    assert not books.instances
    assert_no_surprises(clients, server)


def assert_charged_once(careful: Sequence[CarefulClient], books: Audit) -> None:
    """However often a request was repeated, it was finished once, and that answer is the one that its client got."""
    assert_recorded([answer for one in careful for answer in one.answered], books)
    account = next(row["account"] for row in books.requests.values() if row["id"] == careful[0].answered[0].id)
    finished = [row for row in books.requests.values() if (row["account"], row["status"]) == (account, "finished")]
    assert len(finished) == sum(len(one.answered) for one in careful)
