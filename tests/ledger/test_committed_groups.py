"""The thread that commits groups: every entry that is handed to it is written."""

import asyncio
import sys
from collections.abc import Iterator, Sequence

import pytest

from oruel.ledger.committer import Committer
from oruel.ledger.entries import NOT_LIMITED, Opened, Opening, Settlement


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads interrupt each other at nearly every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def opening(id: str) -> Opening:
    return Opening(id, f"req-{id}", "acc_1", "key_1", "demo", "standard", 0, 100, 10)


def test_nothing_is_lost_between_two_groups(eager_threads: None) -> None:
    written: list[str] = []

    def write(openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool) -> list[Opened]:
        written.extend(settlement.opening.id for settlement in settlements)
        return [NOT_LIMITED] * len(openings)

    async def settle_many(committer: Committer, name: str) -> None:
        for number in range(500):
            await committer.settle(Settlement(opening(f"{name}-{number}"), "finished"))

    async def main() -> None:
        committer = Committer(write)
        async with asyncio.timeout(30):
            await asyncio.gather(*(settle_many(committer, f"task-{number}") for number in range(20)))
        await committer.close()

    asyncio.run(main())
    assert len(written) == len(set(written)) == 10_000
