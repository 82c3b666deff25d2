"""GET /metrics: what each request leaves there, by tier."""

from typing import Any

import pytest

from oruel.api.record import RequestRecord
from oruel.types import Accepted, ChatRequest, SamplingParams, Usage
from tests.api.conftest import CHAT, Client, chat
from tests.fakes import FakeBackend, delta, doing

pytestmark = pytest.mark.anyio


async def metrics(client: Client) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def of(tier: str, name: str) -> str:
    return f'oruel_{name}{{model="demo",tier="{tier}"}}'


async def test_queue_time_and_token_times_are_counted_under_the_tier_that_served(
    client: Client, backend: FakeBackend
) -> None:
    for tier, queued in [("standard", 2.0), ("standard", 4.0), ("turbo", 0.5)]:
        served: Any = {"tier": tier}
        backend.script = doing(
            Accepted(queued), delta("a", **served), delta(finish="stop", usage=Usage(1, 2), **served)
        )
        await client.post(CHAT, json=chat(tier=tier))
    values = await metrics(client)
    assert values[of("standard", "queue_seconds_sum")] == 6
    assert values[of("turbo", "queue_seconds_sum")] == 0.5
    for name in ("queue_seconds_count", "first_token_seconds_count", "output_token_seconds_count"):
        assert (values[of("standard", name)], values[of("turbo", name)]) == (2, 1)


async def test_a_request_that_never_left_the_queue_is_counted_but_has_no_times(
    client: Client, backend: FakeBackend
) -> None:
    backend.script = doing(5.0)
    await client.post(CHAT, json=chat(), headers={"x-request-timeout": "0.05"})
    values = await metrics(client)
    assert values['oruel_requests_total{model="demo",status="504",tier="standard"}'] == 1
    assert not any(name.startswith(("oruel_queue", "oruel_first", "oruel_output")) for name in values)


async def test_a_request_without_a_second_token_has_no_time_per_token(client: Client, backend: FakeBackend) -> None:
    backend.script = doing(delta("a", finish="length", usage=Usage(1, 1)))
    await client.post(CHAT, json=chat())
    values = await metrics(client)
    assert values[of("standard", "first_token_seconds_count")] == 1
    assert of("standard", "output_token_seconds_count") not in values


@pytest.mark.parametrize(("choices", "tokens", "seconds"), [(1, 4, 1.0), (2, 8, 1.0), (1, 2, 3.0), (1, 1, None)])
async def test_the_time_per_token_is_that_between_tokens_of_one_choice(
    choices: int, tokens: int, seconds: float | None
) -> None:
    record = RequestRecord("id", first_token=11.0, last_token=14.0, usage=Usage(1, tokens))
    record.asked(ChatRequest("id", "demo", (), SamplingParams(), n=choices), {})
    assert record.per_token == seconds


async def test_an_answer_that_was_cut_off_has_no_time_per_token() -> None:
    assert RequestRecord("id", first_token=11.0, last_token=14.0).per_token is None
