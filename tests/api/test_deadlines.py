"""Deadlines: for the queue, for the first token and for the whole, and the header that lowers them."""

import asyncio
import json
from dataclasses import replace

import pytest

from oruel.api.deadline import Deadlines
from oruel.errors import Overloaded
from oruel.types import Accepted, Usage
from tests.api.conftest import CHAT, Client, Serve, chat, converse
from tests.fakes import FakeBackend, Step, delta, doing

pytestmark = pytest.mark.anyio

STARTED = Accepted(queued=0.25)
FINISH = delta(finish="stop", usage=Usage(1, 2))
SHORT = 0.05
GENEROUS = Deadlines(queue=100, first_token=200, whole=300)


def never() -> asyncio.Event:
    return asyncio.Event()


MISSED: list[tuple[Deadlines, tuple[Step, ...], str]] = [
    (replace(GENEROUS, queue=SHORT), (), "The request waited longer than 0.05 seconds, the queue_seconds"),
    (replace(GENEROUS, first_token=SHORT), (), "No token was generated within 0.05 seconds, the first_token_seconds"),
    (replace(GENEROUS, first_token=SHORT), (STARTED,), "the first_token_seconds"),
    (replace(GENEROUS, whole=SHORT), (), "took longer than 0.05 seconds, the total_seconds"),
    (replace(GENEROUS, whole=SHORT), (STARTED,), "the total_seconds"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("deadlines", "steps", "said"), MISSED)
async def test_a_deadline_that_passes_before_the_first_token_is_504_and_names_itself(
    serve: Serve, backend: FakeBackend, deadlines: Deadlines, steps: tuple[Step, ...], said: str, stream: bool
) -> None:
    backend.script = doing(*steps, never())
    response = await serve(deadlines=deadlines).post(CHAT, json=chat(stream=stream))
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (504, "timeout_error", "deadline_exceeded")
    assert said in error["message"]
    assert (backend.open, backend.cut_short) == (0, 1)


async def test_a_deadline_that_was_met_is_not_felt_again(serve: Serve, backend: FakeBackend) -> None:
    """The queue is left, the first token comes, and both deadlines pass while the rest is still to come."""
    backend.script = doing(STARTED, delta("a"), 0.3, delta("b"), FINISH)
    response = await serve(deadlines=Deadlines(queue=0.2, first_token=0.2, whole=100)).post(CHAT, json=chat())
    assert response.json()["choices"][0]["message"]["content"] == "ab"


async def test_without_deadlines_an_answer_may_take_its_time(client: Client, backend: FakeBackend) -> None:
    backend.script = doing(0.1, STARTED, 0.1, delta("a"), 0.1, FINISH)
    assert (await client.post(CHAT, json=chat())).status_code == 200


@pytest.mark.parametrize(
    ("deadlines", "sent", "said"),
    [
        (GENEROUS, "0.05", "took longer than 0.05 seconds, the x-request-timeout of this request"),
        (Deadlines(), "0.05", "the x-request-timeout of this request"),
        (replace(GENEROUS, whole=SHORT), "250", "took longer than 0.05 seconds, the total_seconds of this server"),
        (replace(GENEROUS, queue=SHORT), "250", "the queue_seconds"),
        (replace(GENEROUS, first_token=SHORT), "250", "the first_token_seconds"),
    ],
)
async def test_a_callers_timeout_lowers_the_deadlines_and_never_raises_them(
    serve: Serve, backend: FakeBackend, deadlines: Deadlines, sent: str, said: str
) -> None:
    backend.script = doing(never())
    response = await serve(deadlines=deadlines).post(CHAT, json=chat(), headers={"x-request-timeout": sent})
    assert response.status_code == 504
    assert said in response.json()["error"]["message"]
    assert backend.open == 0


async def test_an_answer_in_time_does_not_feel_its_deadlines(serve: Serve) -> None:
    response = await serve(deadlines=GENEROUS).post(CHAT, json=chat(), headers={"x-request-timeout": "60"})
    assert response.status_code == 200


async def test_a_deadline_that_passes_in_midstream_is_an_error_event(serve: Serve, backend: FakeBackend) -> None:
    backend.script = doing(STARTED, delta("partial"), never())
    response = await serve(deadlines=replace(GENEROUS, whole=0.2)).post(CHAT, json=chat(stream=True))
    *before, error, done, end = response.text.split("\n\n")
    assert response.status_code == 200
    assert "partial" in before[-1]
    assert "total_seconds" in json.loads(error.removeprefix("data: "))["error"]["message"]
    assert (done, end) == ("data: [DONE]", "")
    assert backend.open == 0


@pytest.mark.parametrize("deadlines", [Deadlines(queue=0.5), Deadlines(first_token=0.5), Deadlines(whole=0.5)], ids=str)
async def test_a_deadline_that_passes_after_a_heartbeat_is_an_error_event(
    serve: Serve, backend: FakeBackend, deadlines: Deadlines
) -> None:
    backend.script = doing(never())
    client = serve(deadlines=deadlines, heartbeat_seconds=0.02)
    first, *_, error, done = await converse(client, never(), b": waiting")
    assert (first, done) == (": waiting", "data: [DONE]")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    assert backend.open == 0


async def test_leaving_the_queue_sends_nothing_so_that_what_fails_then_has_its_own_status(
    client: Client, backend: FakeBackend
) -> None:
    backend.script = doing(STARTED, Overloaded("The engine died."))
    assert (await client.post(CHAT, json=chat(stream=True))).status_code == 503


@pytest.mark.parametrize("sent", ["0", "-1", "nan", "inf", "soon", "", "1e9"])
async def test_a_timeout_that_is_no_time_is_refused(client: Client, backend: FakeBackend, sent: str) -> None:
    response = await client.post(CHAT, json=chat(), headers={"x-request-timeout": sent})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "x-request-timeout")
    assert backend.requests == []


async def test_a_timeout_of_the_backends_own_is_not_taken_for_a_deadline(serve: Serve, backend: FakeBackend) -> None:
    backend.script = doing(TimeoutError("something inside"))
    assert (await serve(deadlines=GENEROUS).post(CHAT, json=chat())).status_code == 500
