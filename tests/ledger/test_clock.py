"""A clock that is set back under a running server neither lifts limits nor locks anyone out."""

import asyncio
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.money import UNITS_PER_USD
from tests.ledger.audit import audit
from tests.ledger.serving import USD_OF_ONE, Answered, Refused, Site, VariedAnswers, ask, assert_recorded, site, until
from tests.server import RunningServer

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.anyio]

DAY, HOUR, MINUTE = 86400, 3600, 60
KEYS = {
    "slow": (None, KeyTerms(requests_per_minute=3)),
    "thrifty": (None, KeyTerms(day_limit=round(USD_OF_ONE * UNITS_PER_USD))),
    "rich": (1.0, KeyTerms()),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SetClock:
    """The clock of servers with this `environment`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"

    @property
    def environment(self) -> Mapping[str, str]:
        path = [str(Path(__file__).parent / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"TEST_CLOCK": str(self._file), "PYTHONPATH": os.pathsep.join(path)}

    def set(self, moment: float) -> None:
        """To seconds since the epoch, within a second."""
        self._set_ahead(round(moment - time.time()))

    def advance(self, seconds: int) -> None:
        self._set_ahead(int(self._file.read_text()) + seconds)

    def _set_ahead(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)


async def test_setting_the_clock_back_neither_lifts_limits_nor_locks_anyone_out(tmp_path: Path) -> None:
    clock, noon = SetClock(tmp_path), (time.time() // DAY + 1.5) * DAY
    clock.set(noon)
    async with site(str(tmp_path / "ledger.db"), tmp_path, VariedAnswers(random.Random(), 0), KEYS) as place:
        with place.serve(environment=clock.environment) as server:
            user = User(place, server)
            assert [one.code for one in await user.refusals("slow", 4)] == ["rate_limit_exceeded"]
            assert {one.code for one in await user.refusals("thrifty", 20)} == {"spending_limit_reached"}
            clock.set(noon - HOUR)
            (refused,) = await user.refusals("slow")
            assert 0 < int(refused.retry_after or 0) <= MINUTE
            assert [one.code for one in await user.refusals("thrifty")] == ["spending_limit_reached"]
            assert not await user.refusals("rich", 3)
            clock.advance(MINUTE)
            assert [one.code for one in await user.refusals("slow", 4)] == ["rate_limit_exceeded"]
    books = audit(place.store)
    books.assert_settled()
    assert_recorded(user.answered, books)
    assert len(user.answered) == books.count("finished") == len(books.requests)


async def test_a_server_that_starts_with_an_earlier_clock_settles_what_the_last_one_left(tmp_path: Path) -> None:
    clock = SetClock(tmp_path)
    clock.set(time.time() + DAY)
    async with site(str(tmp_path / "ledger.db"), tmp_path, VariedAnswers(random.Random(), 10), KEYS) as place:
        with place.serve(environment=clock.environment) as server:
            asking = asyncio.create_task(User(place, server).refusals("rich"))
            await until(lambda: len(place.upstream.bodies) == 1)
            server.process.kill()
            await asking
        clock.set(time.time())
        assert len(audit(place.store).open) == 1
        with place.serve(environment=clock.environment):
            books = audit(place.store)
    books.assert_settled()
    assert books.count("crashed") == 1


@dataclass
class User:
    place: Site
    server: RunningServer
    answered: list[Answered] = field(default_factory=list)

    async def refusals(self, key: str, count: int = 1) -> list[Refused]:
        """Those of `count` requests, one after the other."""
        async with httpx2.AsyncClient(base_url=self.server.base_url, timeout=60) as client:
            outcomes = [await ask(client, self.place.keys[key]) for _ in range(count)]
        self.answered += [one for one in outcomes if isinstance(one, Answered)]
        return [one for one in outcomes if isinstance(one, Refused)]
