"""What the ledger records of an answer, however it ends, with a scripted backend and a real store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from oruel.errors import (
    AnswerUnread,
    AuthenticationError,
    ContextLengthExceeded,
    DeadlineExceeded,
    EngineFailed,
    InsufficientFunds,
    OruelError,
    Overloaded,
    StoreUnavailable,
)
from oruel.ledger.base import EntryContext
from oruel.ledger.caller import ANONYMOUS, Caller
from oruel.ledger.committer import Committer
from oruel.ledger.database import Database
from oruel.ledger.entry import PriceList
from oruel.ledger.group import GroupWriter
from oruel.ledger.recorder import Recorder
from oruel.ledger.tables import accounts, requests, spending
from oruel.router.catalog import Catalog, ModelCard
from oruel.router.price import Price
from oruel.types import (
    Accepted,
    Answer,
    ChatRequest,
    Delta,
    Message,
    Prepared,
    Progress,
    SamplingParams,
    Usage,
)
from tests.ledger.books import add_account, add_key

USD = 10**12
CALLER = Caller("acc_1", "key_1")
# 1 USD per million input tokens, 0.1 for cached ones, 2 for output; the operator pays a tenth.
PRICES = PriceList(
    {"demo": {"standard": Price(Decimal(1), Decimal("0.1"), Decimal(2))}},
    {"here": Price(Decimal("0.1"), Decimal("0.01"), Decimal("0.2"))},
)


def request(n: int = 1) -> ChatRequest:
    return ChatRequest("chatcmpl-1", "gpt-demo", (Message("user", "Hello"),), SamplingParams(), n=n)


class ScriptedAnswer:
    """Yields the items, and raises those that are errors. Counts the items that were asked for."""

    def __init__(self, *items: Prepared | Accepted | Delta | OruelError) -> None:
        self.items = items
        self.asked = 0

    async def stream(self) -> Answer:
        for item in self.items:
            self.asked += 1
            if isinstance(item, OruelError):
                raise item
            yield item


def accepted(prompt: int = 100, completion: int = 7, cached: int = 40) -> Accepted:
    usage = Usage(prompt, completion, cached)
    return Accepted(queued=0.5, deployment="here", progress=lambda: Progress(usage))


def delta(usage: Usage | None = None) -> Delta:
    return Delta(0, "demo", "standard", usage, text="x", finish="stop" if usage else None)


PREPARED = Prepared(prompt_tokens=100, max_tokens=50)
USED = Usage(100, 30, 40)
# 60 × 1 + 40 × 0.1 + 30 × 2 per million; the operator pays a tenth.
PRICE, COST = USD * 124 // 10**6, USD * 124 // 10**7


class World:
    def __init__(self, store: Database) -> None:
        self.store = store
        self.committer = Committer(GroupWriter(store, "instance-1").write)
        self.recorder = Recorder(self.committer, Catalog((ModelCard("demo", 8192, 100, 0, ("gpt-demo",)),)), PRICES)
        self.context = EntryContext("req-1", 0.0)

    def meter(self, answer: Answer, *, caller: Caller = CALLER, n: int = 1) -> Any:
        return self.recorder.meter(request(n), caller, answer, self.context)

    async def rows(self) -> list[Any]:
        await self.committer.close()
        with self.store.reading() as connection:
            return list(connection.execute(select(requests)))

    def balance(self) -> int:
        with self.store.reading() as connection:
            return int(connection.execute(select(accounts.c.balance)).scalar_one())

    def open_rows(self) -> list[Any]:
        with self.store.reading() as connection:
            return list(connection.execute(select(requests).where(requests.c.status.is_(None))))


@pytest.fixture
def world(store: Database) -> Callable[[], Any]:
    with store.transaction() as connection:
        add_account(connection, "acc_1", balance=USD)
        add_key(connection, "key_1", "acc_1")

    @asynccontextmanager
    async def run() -> AsyncIterator[World]:
        world = World(store)
        yield world
        await world.committer.close()

    return run


async def drain(answer: Any) -> list[Any]:
    async with aclosing(answer):
        return [item async for item in answer]


@pytest.mark.anyio
async def test_a_finished_request_has_one_row_with_all_that_it_used(world: Any) -> None:
    async with world() as here:
        items = await drain(here.meter(ScriptedAnswer(PREPARED, accepted(), delta(), delta(USED)).stream()))
        assert [type(item) for item in items] == [Accepted, Delta, Delta]
        assert items[-1].usage.cost == Decimal("0.000124")
        (row,) = await here.rows()
    assert (row.status, row.finish, row.error) == ("finished", "stop", None)
    assert (row.account, row.key, row.model, row.tier, row.deployment) == ("acc_1", "key_1", "demo", "standard", "here")
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens) == (100, 40, 30)
    assert (row.price, row.cost, row.reserved, row.reserved_tokens) == (PRICE, COST, 0, 0)
    assert (row.id, row.request_id, row.instance) == ("chatcmpl-1", "req-1", "instance-1")
    assert row.queued_ms == 500
    assert 0 < row.first_token_ms <= row.total_ms
    assert here.balance() == USD - PRICE
    with here.store.reading() as connection:
        assert {row.spent for row in connection.execute(select(spending))} == {PRICE}


@pytest.mark.anyio
async def test_nothing_is_computed_before_the_highest_price_is_reserved(world: Any) -> None:
    async with world() as here:
        script = ScriptedAnswer(PREPARED, accepted(), delta(USED))
        answer = here.meter(script.stream(), n=2)
        await anext(answer)
        assert script.asked == 2
        (row,) = here.open_rows()
        # 100 uncached tokens in, 2 × 50 out.
        assert (row.reserved, row.reserved_tokens) == (300 * USD // 10**6, 200)
        await answer.aclose()


@pytest.mark.anyio
async def test_the_settlement_is_written_while_the_last_delta_goes_to_the_client(world: Any) -> None:
    async with world() as here:
        answer = here.meter(ScriptedAnswer(PREPARED, accepted(), delta(USED)).stream())
        assert [type(await anext(answer)) for _ in range(2)] == [Accepted, Delta]
        (row,) = await here.rows()
        assert (row.status, row.price) == ("finished", PRICE)
        await answer.aclose()


@pytest.mark.anyio
async def test_a_request_that_the_balance_does_not_cover_computes_nothing_and_leaves_no_row(world: Any) -> None:
    async with world() as here:
        script = ScriptedAnswer(Prepared(100, 600_000), accepted(), delta(USED))
        with pytest.raises(InsufficientFunds) as refused:
            await drain(here.meter(script.stream()))
        assert "up to 1.2001 USD, but the account has 1 USD available" in refused.value.message
        assert script.asked == 1
        assert await here.rows() == []
        assert here.balance() == USD


@pytest.mark.anyio
async def test_a_client_that_leaves_pays_for_what_was_computed(world: Any) -> None:
    async with world() as here:
        answer = here.meter(ScriptedAnswer(PREPARED, accepted(), delta(), delta(USED)).stream())
        await anext(answer)
        await anext(answer)
        await answer.aclose()
        (row,) = await here.rows()
    assert (row.status, row.prompt_tokens, row.cached_tokens, row.completion_tokens) == ("disconnect", 100, 40, 7)
    assert row.price == USD * 78 // 10**6
    assert here.balance() == USD - row.price


@pytest.mark.anyio
async def test_a_client_that_leaves_after_the_last_delta_has_finished(world: Any) -> None:
    async with world() as here:
        answer = here.meter(ScriptedAnswer(PREPARED, accepted(), delta(USED)).stream())
        await anext(answer)
        await anext(answer)
        await answer.aclose()
        (row,) = await here.rows()
    assert (row.status, row.price) == ("finished", PRICE)


@pytest.mark.anyio
async def test_a_client_that_leaves_while_the_end_is_written_has_finished_once(world: Any) -> None:
    async with world() as here:
        answer = here.meter(ScriptedAnswer(PREPARED, accepted(), delta(USED)).stream())
        await anext(answer)
        await anext(answer)
        ending = asyncio.create_task(anext(answer, None))
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        (row,) = await here.rows()
    assert (row.status, row.price) == ("finished", PRICE)
    assert here.balance() == USD - PRICE


@pytest.mark.anyio
async def test_a_request_that_waits_in_the_queue_as_its_client_leaves_pays_nothing(world: Any) -> None:
    async def waits() -> Answer:
        yield PREPARED
        await asyncio.Event().wait()
        yield accepted()

    async with world() as here:
        task = asyncio.create_task(drain(here.meter(waits())))
        while not here.open_rows():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (row,) = await here.rows()
    assert (row.status, row.prompt_tokens, row.completion_tokens, row.price) == ("disconnect", 0, 0, 0)


@pytest.mark.anyio
async def test_a_failure_of_the_server_costs_the_user_nothing_and_the_operator_what_was_computed(world: Any) -> None:
    async with world() as here:
        with pytest.raises(EngineFailed):
            await drain(here.meter(ScriptedAnswer(PREPARED, accepted(), delta(), EngineFailed("gone")).stream()))
        (row,) = await here.rows()
    assert (row.status, row.error, row.price) == ("error", "engine_failed", 0)
    assert (row.completion_tokens, row.cost) == (7, USD * 78 // 10**7)
    assert here.balance() == USD


@pytest.mark.anyio
@pytest.mark.parametrize("error", [DeadlineExceeded("late"), AnswerUnread("unread")], ids=["late", "unread"])
async def test_a_passed_deadline_and_an_unread_answer_are_paid_like_a_disconnect(
    world: Any, error: DeadlineExceeded
) -> None:
    async with world() as here:
        with pytest.raises(DeadlineExceeded):
            await drain(here.meter(ScriptedAnswer(PREPARED, accepted(), delta(), error).stream()))
        (row,) = await here.rows()
    assert (row.status, row.error, row.price) == ("error", error.code, USD * 78 // 10**6)


@pytest.mark.anyio
async def test_a_full_server_is_recorded_and_an_invalid_request_is_not(world: Any) -> None:
    async with world() as here:
        with pytest.raises(Overloaded):
            await drain(here.meter(ScriptedAnswer(Overloaded("full")).stream()))
        with pytest.raises(ContextLengthExceeded):
            await drain(here.meter(ScriptedAnswer(ContextLengthExceeded("long")).stream()))
        (row,) = await here.rows()
    assert (row.status, row.error, row.price, row.prompt_tokens) == ("error", "overloaded", 0, 0)


@pytest.mark.anyio
async def test_a_deployment_that_takes_over_reserves_more_only_if_it_needs_more(world: Any) -> None:
    async with world() as here:
        fails_over = ScriptedAnswer(PREPARED, Prepared(90, 50), Prepared(500, 50), accepted(), delta(USED))
        answer = here.meter(fails_over.stream())
        await anext(answer)
        (row,) = here.open_rows()
        assert (row.reserved, row.reserved_tokens) == (600 * USD // 10**6, 550)
        await drain(answer)
        (row,) = await here.rows()
    assert (row.status, row.price) == ("finished", PRICE)


@pytest.mark.anyio
async def test_a_request_without_a_key_is_recorded_too(world: Any) -> None:
    async with world() as here:
        await drain(here.meter(ScriptedAnswer(PREPARED, accepted(), delta(USED)).stream(), caller=ANONYMOUS))
        (row,) = await here.rows()
    assert (row.account, row.key, row.price) == (None, None, PRICE)
    assert here.balance() == USD


@pytest.mark.anyio
async def test_a_revoked_key_is_refused_although_this_process_has_not_heard_of_it(world: Any) -> None:
    async with world() as here:
        with here.store.transaction() as connection:
            add_key(connection, "key_2", "acc_1", revoked=1)
        script = ScriptedAnswer(PREPARED, accepted(), delta(USED))
        with pytest.raises(AuthenticationError):
            await drain(here.meter(script.stream(), caller=Caller("acc_1", "key_2")))
        assert script.asked == 1
        assert await here.rows() == []


@pytest.mark.anyio
async def test_without_a_store_nothing_is_served(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel.ledger.committer.OPENING_SECONDS", 0.2)
    monkeypatch.setattr("oruel.ledger.committer.CLOSING_SECONDS", 0.2)
    async with world() as here:
        here.committer._write = broken
        script = ScriptedAnswer(PREPARED, accepted(), delta(USED))
        with pytest.raises(StoreUnavailable):
            await drain(here.meter(script.stream()))
        assert script.asked == 1


@pytest.mark.anyio
async def test_an_answer_whose_end_can_not_be_recorded_does_not_end_and_is_recorded_later(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oruel.ledger.recorder.SETTLING_SECONDS", 0.2)
    async with world() as here:
        answer = here.meter(ScriptedAnswer(PREPARED, accepted(), delta(USED)).stream())
        await anext(answer)
        await anext(answer)
        works, here.committer._write = here.committer._write, broken
        with pytest.raises(StoreUnavailable):
            await anext(answer)
        here.committer._write = works
        (row,) = await here.rows()
    assert (row.status, row.price) == ("finished", PRICE)


def broken(*args: Any, **options: Any) -> list[Any]:
    raise StoreUnavailable("down")
