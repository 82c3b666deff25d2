"""Openings whose requests give up while they are being written, as seen by what the committer writes."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from oruel.errors import InsufficientFunds, StoreUnavailable
from oruel.ledger import committer as module
from oruel.ledger.committer import Committer
from oruel.ledger.entries import Opened, Opening, Settlement

pytestmark = pytest.mark.anyio

OPENING = Opening("chatcmpl-1", "req-1", "acc_1", "key_1", "m", "standard", created=0, price=100, tokens=10)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowStore:
    """Finishes writing openings once `release` is set. `settled` are the settlements that were written."""

    def __init__(self, outcome: Opened) -> None:
        self.writing, self.release = threading.Event(), threading.Event()
        self.settled: list[Settlement] = []
        self._outcome = outcome

    def write(self, openings: Sequence[Opening], settlements: Sequence[Settlement], *, again: bool) -> list[Opened]:
        self.settled += settlements
        if openings:
            self.writing.set()
            assert self.release.wait(10)
        return [self._outcome for _ in openings]

    @property
    def endings(self) -> list[tuple[str, str | None]]:
        assert all(one.opening == OPENING and one.price == 0 for one in self.settled)
        return [(one.status, one.error) for one in self.settled]


async def cancelled(opening: "asyncio.Task[Opened]") -> None:
    with pytest.raises(asyncio.CancelledError):
        await opening


async def endings_of_a_client_that_leaves(outcome: Opened) -> list[tuple[str, str | None]]:
    """It leaves while its request is being opened, with this outcome."""
    store = SlowStore(outcome)
    committer = Committer(store.write)
    opening = asyncio.create_task(committer.open(OPENING))
    await asyncio.to_thread(store.writing.wait)
    opening.cancel()
    await cancelled(opening)
    store.release.set()
    await committer.close()
    return store.endings


async def test_a_client_that_leaves_while_its_request_is_opened_leaves_no_open_entry() -> None:
    assert await endings_of_a_client_that_leaves(Opened()) == [("disconnect", None)]


async def test_a_client_that_leaves_just_as_its_request_was_opened_leaves_no_open_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = SlowStore(Opened())
    committer = Committer(store.write)
    opening = asyncio.create_task(committer.open(OPENING))
    await asyncio.to_thread(store.writing.wait)
    loop = asyncio.get_running_loop()
    deliver = loop.call_soon_threadsafe

    def deliver_and_cancel(resolve: Callable[[], None]) -> None:
        # The task has its result, but doesn't run before it is cancelled.
        deliver(resolve_and_cancel, resolve)

    def resolve_and_cancel(resolve: Callable[[], None]) -> None:
        resolve()
        opening.cancel()

    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_soon_threadsafe", deliver_and_cancel)
        store.release.set()
        await cancelled(opening)
    await committer.close()
    assert store.endings == [("disconnect", None)]


async def test_a_request_that_was_refused_because_the_store_was_slow_leaves_no_open_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0.05)
    store = SlowStore(Opened())
    committer = Committer(store.write)
    with pytest.raises(StoreUnavailable):
        await committer.open(OPENING)
    store.release.set()
    await committer.close()
    assert store.endings == [("error", "store_unavailable")]


@pytest.mark.parametrize("outcome", [Opened(InsufficientFunds("")), Opened(replay=("{}", "application/json"))])
async def test_an_abandoned_request_that_opened_no_entry_settles_none(outcome: Opened) -> None:
    assert await endings_of_a_client_that_leaves(outcome) == []
