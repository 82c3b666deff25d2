"""A server whose store fails under load refuses requests or serves them, but never serves one unrecorded; it recovers
by itself.
"""

import asyncio
import random
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest

from oruel.ledger.key_terms import KeyTerms
from tests.ledger.audit import Audit, audit
from tests.ledger.serving import Clients, Refused, Site, VariedAnswers, ask, assert_recorded, site, until
from tests.postgres import PostgresServer
from tests.server import RunningServer

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.anyio]

KEYS = {
    "rich": (100.0, KeyTerms()),
    "free": (None, KeyTerms()),
    "spare": (None, KeyTerms()),
    "operator": (None, KeyTerms(scopes=("inference", "admin"))),
}
BUSY = ("rich", "free")
UNAVAILABLE = "store_unavailable"
DISK_BYTES = 2 * 2**20


@dataclass
class Trial:
    """A server under load, whose store fails between `fail` and `restore`."""

    place: Site
    server: RunningServer
    clients: Clients
    fail: Callable[[], object]
    restore: Callable[[], object]

    async def run(self, *, until_streams_are_cut: bool = False) -> Audit:
        """Lets the store fail until requests were refused, and stops the server once it has recovered."""
        loading = load(self.place, self.server, self.clients)
        await until(lambda: len(self.clients.answered) >= 10)
        await asyncio.to_thread(self.fail)
        await until(lambda: len(self.refused) >= 3 and bool(self.cut or not until_streams_are_cut))
        await assert_the_operator_is_told(self.place, self.server)
        await asyncio.to_thread(self.restore)
        before = len(self.clients.answered)
        await until(lambda: len(self.clients.answered) >= before + 10)
        await assert_revocation_is_noticed(self.place, self.server)
        self.server.process.terminate()
        await loading
        assert await asyncio.to_thread(self.server.process.wait, 60) == 0
        return audit(self.place.store)

    @property
    def refused(self) -> list[Refused]:
        return [one for one in self.clients.refused if not one.late]

    @property
    def cut(self) -> list[Refused]:
        """Streams that ended with an error."""
        return [one for one in self.clients.refused if one.late]

    def assert_nothing_was_served_unrecorded(self, books: Audit) -> None:
        books.assert_settled()
        assert_recorded(self.clients.answered, books)
        assert sum(row["deployment"] is not None for row in books.requests.values()) >= len(self.place.upstream.bodies)
        assert {one.code for one in self.clients.refused} == {UNAVAILABLE}
        assert all(one.status == 503 and int(one.retry_after or 0) >= 1 for one in self.refused)
        # The store accepted their ends when it was back.
        assert {books.requests[one.id]["status"] for one in self.cut} <= {"finished"}
        assert books.count("crashed") == 0
        assert not books.instances
        output = "".join(self.server.lines)
        assert "the store is unavailable" in output
        assert "Traceback" not in output


def load(place: Site, server: RunningServer, clients: Clients) -> "asyncio.Task[None]":
    keys = {name: place.keys[name] for name in BUSY}
    return asyncio.create_task(clients.load(server.base_url, keys, clients_of_each=6))


async def assert_the_operator_is_told(place: Site, server: RunningServer) -> None:
    """What only reads may work, as on a full disk."""
    key = {"authorization": f"Bearer {place.keys['operator']}"}
    async with httpx2.AsyncClient(base_url=server.base_url, headers=key, timeout=60) as client:
        answers = await asyncio.gather(
            client.get("/usage"),
            client.get("/admin/accounts"),
            client.post("/admin/accounts", json={"name": "new"}),
            client.get("/models"),
        )
    *of_store, models = answers
    assert of_store[2].status_code == 503
    for answer in of_store:
        assert answer.status_code == 200 or answer.json()["error"]["code"] == UNAVAILABLE, answer.text
    assert models.status_code == 200


async def assert_revocation_is_noticed(place: Site, server: RunningServer) -> None:
    """What the server does in the background goes on too."""
    place.revoke("spare")

    async def is_refused() -> bool:
        async with httpx2.AsyncClient(base_url=server.base_url, timeout=60) as client:
            outcome = await ask(client, place.keys["spare"])
        return isinstance(outcome, Refused) and outcome.status == 401

    async with asyncio.timeout(10):
        while not await is_refused():
            await asyncio.sleep(0.1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Path:
    return tmp_path / "store" / "ledger.db"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"]
    mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this user can't mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def run_trial(
    store: str,
    folder: Path,
    fail: Callable[[RunningServer], object],
    restore: Callable[[RunningServer], object],
    *,
    until_streams_are_cut: bool = False,
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    async with site(store, folder, VariedAnswers(dice), KEYS) as place:
        with place.serve() as server:
            trial = Trial(place, server, Clients(dice), lambda: fail(server), lambda: restore(server))
            books = await trial.run(until_streams_are_cut=until_streams_are_cut)
    trial.assert_nothing_was_served_unrecorded(books)


async def test_a_locked_sqlite_store(sqlite_store: Path, tmp_path: Path) -> None:
    with another_program(sqlite_store) as other:
        await run_trial(
            str(sqlite_store),
            tmp_path,
            lambda _: other("BEGIN EXCLUSIVE"),
            lambda _: other("ROLLBACK"),
            until_streams_are_cut=True,
        )


@contextmanager
def another_program(store: Path) -> Iterator[Callable[[str], object]]:
    """Runs statements in a connection of its own, once the store exists."""
    connections: list[sqlite3.Connection] = []

    def execute(statement: str) -> None:
        if not connections:
            connections.append(sqlite3.connect(store, isolation_level=None, check_same_thread=False))
        connections[0].execute(statement)

    yield execute
    for connection in connections:
        connection.close()


async def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    filler = small_disk / "filler"
    await run_trial(str(small_disk / "ledger.db"), tmp_path, lambda _: fill(filler), lambda _: filler.unlink())


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_files_that_may_not_grow(sqlite_store: Path, tmp_path: Path) -> None:
    """As with a quota."""

    def limit(server: RunningServer, size: int) -> None:
        pid = server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    await run_trial(
        str(sqlite_store),
        tmp_path,
        lambda server: limit(server, 4096),
        lambda server: limit(server, resource.RLIM_INFINITY),
    )


async def test_a_postgresql_server_that_is_away(postgres: PostgresServer, tmp_path: Path) -> None:
    await run_trial(postgres.create_database(), tmp_path, lambda _: postgres.stop(), lambda _: postgres.start())


async def test_a_postgresql_server_that_answers_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    await run_trial(
        postgres.create_database(),
        tmp_path,
        lambda _: postgres.pause(),
        lambda _: postgres.resume(),
        until_streams_are_cut=True,
    )


async def test_postgresql_restarting_under_load(postgres: PostgresServer, tmp_path: Path) -> None:
    """So quickly that hardly any request is refused; once, it had crashed."""
    dice = random.Random()
    async with site(postgres.create_database(), tmp_path, VariedAnswers(dice), KEYS) as place:
        with place.serve() as server:
            clients = Clients(dice)
            loading = load(place, server, clients)
            for goal, stop in ((20, postgres.stop), (40, postgres.kill), (60, postgres.stop)):
                await until(partial(has_answers, clients, goal))
                await asyncio.to_thread(stop)
                await asyncio.to_thread(postgres.start)
            await until(lambda: len(clients.answered) >= 80)
            server.process.terminate()
            await loading
            assert await asyncio.to_thread(server.process.wait, 60) == 0
    books = audit(place.store)
    books.assert_settled()
    assert_recorded(clients.answered, books)
    assert {one.code for one in clients.refused} <= {UNAVAILABLE}
    assert books.count("crashed") == 0
    assert "Traceback" not in "".join(server.lines)


def has_answers(clients: Clients, count: int) -> bool:
    return len(clients.answered) >= count


@pytest.fixture
def outage(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """A store, and what makes it fail and work again."""
    if request.param == "a locked SQLite store":
        path: Path = request.getfixturevalue("sqlite_store")
        with another_program(path) as other:
            yield str(path), lambda: other("BEGIN EXCLUSIVE"), lambda: other("ROLLBACK")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        yield server.create_database(), server.pause, server.resume


@pytest.mark.parametrize("outage", ["a locked SQLite store", "PostgreSQL that answers nothing"], indirect=True)
async def test_a_server_stops_without_its_store_and_the_next_one_settles_what_it_left(
    outage: tuple[str, Callable[[], object], Callable[[], object]], tmp_path: Path
) -> None:
    store, fail, restore = outage
    dice = random.Random()
    async with site(store, tmp_path, VariedAnswers(dice), KEYS) as place:
        with place.serve() as server:
            clients = Clients(dice)
            loading = load(place, server, clients)
            await until(lambda: len(clients.answered) >= 10)
            await asyncio.to_thread(fail)
            await until(lambda: bool(clients.refused))
            server.process.terminate()
            await loading
            assert await asyncio.to_thread(server.process.wait, 60) == 0
        restore()
        assert audit(store).open
        with place.serve():
            books = audit(store)
    books.assert_settled()
    assert_recorded(clients.answered, books)
    assert books.count("crashed") >= 1
    assert "Traceback" not in "".join(server.lines)
