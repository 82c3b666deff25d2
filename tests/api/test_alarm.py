"""The alarm of a request, which ends waits that last too long."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from oruel.api.alarm import Alarm, Rang

pytestmark = pytest.mark.anyio


@pytest.fixture
async def alarm() -> AsyncIterator[Alarm]:
    alarm = Alarm()
    yield alarm
    alarm.close()


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.02


async def test_it_ends_a_wait_when_the_time_has_come(alarm: Alarm) -> None:
    alarm.due = soon()
    with pytest.raises(Rang):
        await alarm.limit(asyncio.sleep(30))
    assert asyncio.get_running_loop().time() >= alarm.due
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_it_lets_what_is_ready_pass_even_when_the_time_has_come(alarm: Alarm) -> None:
    alarm.due = soon() - 1
    assert await alarm.limit(asyncio.sleep(0, "ready")) == "ready"
    with pytest.raises(Rang):
        await alarm.limit(asyncio.sleep(30))


async def test_it_waits_for_a_time_that_was_put_off(alarm: Alarm) -> None:
    alarm.due = soon()
    await alarm.limit(asyncio.sleep(0))
    alarm.due += 0.1
    assert await alarm.limit(asyncio.sleep(0.05, "in time")) == "in time"
    with pytest.raises(Rang):
        await alarm.limit(asyncio.sleep(30))


async def test_it_rings_earlier_when_the_time_was_brought_forward(alarm: Alarm) -> None:
    alarm.due = soon() + 30
    await alarm.limit(asyncio.sleep(0))
    alarm.due = soon()
    with pytest.raises(Rang):
        await alarm.limit(asyncio.sleep(30))


async def test_it_does_not_disturb_the_task_between_two_waits(alarm: Alarm) -> None:
    alarm.due = soon()
    await alarm.limit(asyncio.sleep(0))
    await asyncio.sleep(0.05)
    with pytest.raises(Rang):
        await alarm.limit(asyncio.sleep(30))


async def test_a_task_that_is_cancelled_ends_as_cancelled(alarm: Alarm) -> None:
    alarm.due = soon() + 30
    task = asyncio.ensure_future(alarm.limit(asyncio.sleep(30)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_that_answers_the_cancellation_is_passed_on(alarm: Alarm) -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            raise ValueError("ended")

    alarm.due = soon()
    with pytest.raises(ValueError, match="ended"):
        await alarm.limit(fail())
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0
