"""What is recorded of a request. Each test is a fault that users of a gateway have reported: its project and number."""

import asyncio
from typing import Any

import httpx2
import pytest

from oruel.ledger.money import usd_text
from tests.fakes import until
from tests.ledger.gateway import (
    CHAT,
    PRICE,
    Gateway,
    answering,
    body,
    chunks_of,
    cost_of,
    price_of,
    reported,
    stubbed_gateway,
    usage_event,
)
from tests.stub_server import DONE, HANG, HEAD, Part, chunk, event, status

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def location(tmp_path: Any) -> str:
    return str(tmp_path / "ledger.db")


def counted_chunk(completion: int, prompt: int = 100, **delta: Any) -> bytes:
    """As vLLM sends it with continuous_usage_stats."""
    choice = {"index": 0, "delta": delta or {"content": "x"}, "finish_reason": None}
    return event({"choices": [choice], "usage": reported(prompt, completion)})


async def leave_midway(server: Gateway, client: httpx2.AsyncClient, *, stream: bool, deltas: int) -> None:
    """Leaves once so many deltas have reached the server."""
    asking = asyncio.create_task(client.post(CHAT, json=body(stream=stream)))
    await until(lambda: server.backend.deltas >= deltas)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def asked(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    """The usage of an answer."""
    response = await client.post(CHAT, json=body(**fields))
    assert response.status_code == 200, response.text
    whole = chunks_of(response.text)[-1] if fields.get("stream") else response.json()
    usage: dict[str, Any] = whole["usage"]
    return usage


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_midway_pays_for_what_was_computed(location: str, stream: bool) -> None:
    """BerriAI/litellm#13245 (only the input), QuantumNous/new-api#5235 and Wei-Shaw/sub2api#2168 (nothing)."""
    script: list[Part] = [HEAD, counted_chunk(1), 0.01, counted_chunk(2), 0.01, counted_chunk(3), HANG]
    async with stubbed_gateway(location, script) as server:
        await leave_midway(server, server.client(server.add_key(credit=10**12)), stream=stream, deltas=3)
        (row,) = await server.settled(1)
    assert (row.status, row.prompt_tokens, row.completion_tokens) == ("disconnect", 100, 3)
    assert (row.price, row.cost, row.estimated) == (price_of(100, 3), cost_of(103), False)
    assert server.stub.left == 1


async def test_an_estimate_counts_the_prompt_the_reasoning_and_the_calls(location: str) -> None:
    """BerriAI/litellm#38676 and #4091: what the upstream server hasn't reported is estimated from the text alone."""
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
    more = {"index": 0, "function": {"arguments": '"a": 1'}}
    said: list[bytes] = [
        chunk(reasoning_content="hm"),
        chunk("Hello"),
        chunk(tool_calls=[call]),
        chunk(tool_calls=[more]),
    ]
    script: list[Part] = [HEAD, *(part for one in said for part in (one, 0.01)), HANG]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    async with stubbed_gateway(location, script) as server:
        client = server.client(server.add_key())
        asking = asyncio.create_task(client.post(CHAT, json=body(stream=True, tools=tools)))
        await until(lambda: server.backend.deltas >= len(said))
        asking.cancel()
        (row,) = await server.settled(1)
    assert (row.status, row.completion_tokens, row.estimated) == ("disconnect", 4, True)
    assert 1 <= row.prompt_tokens <= row.completion_tokens + 100
    assert row.price == price_of(row.prompt_tokens, 4)


async def test_a_server_that_reports_no_usage_is_not_free(location: str) -> None:
    """BerriAI/litellm#37923: streamed requests were recorded at 0, so that budgets never bound."""
    script: list[Part] = [HEAD, chunk("Hello"), 0.01, chunk(" world"), chunk(finish="stop"), DONE]
    async with stubbed_gateway(location, script) as server:
        usage = await asked(server.client(server.add_key()), stream=True)
        (row,) = server.rows()
    assert (row.status, row.completion_tokens, row.estimated) == ("finished", 2, True)
    assert row.prompt_tokens >= 1
    assert usage["cost"] == usd_text(row.price) == usd_text(price_of(row.prompt_tokens, 2))


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
async def test_a_stream_costs_what_the_whole_answer_costs(location: str, options: dict[str, Any]) -> None:
    """BerriAI/litellm#37923 (a price of 0), #1304 (other tokens), #6633 (no row with include_usage)."""
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key(credit=10**12))
        usages = [await asked(client), await asked(client, stream=True, **options)]
        rows = server.rows()
        assert usages[0] == usages[1]
        assert usages[0]["cost"] == usd_text(PRICE)
        assert [row.price for row in rows] == [PRICE, PRICE]
        assert [row.status for row in rows] == ["finished", "finished"]
        assert server.balance() == 10**12 - 2 * PRICE


LATE_USAGE = {
    "with no choices": usage_event(100, 20, 40),
    "with a choice that has ended": event({"choices": [{"index": 0, "delta": {}}], "usage": reported(100, 20, 40)}),
    "with the finish": b"",
}


@pytest.mark.parametrize("place", LATE_USAGE)
async def test_cached_tokens_have_their_own_price_wherever_a_stream_reports_them(location: str, place: str) -> None:
    """BerriAI/litellm#36168, #39088 and #11789 (the full price in streams), #6215 (both prices)."""
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    finish = event(
        {"choices": [last], "usage": reported(100, 20, 40)} if not LATE_USAGE[place] else {"choices": [last]}
    )
    async with stubbed_gateway(location, [HEAD, chunk("Hello"), finish + LATE_USAGE[place], DONE]) as together:
        await asked(together.client(together.add_key()), stream=True)
        together.stub.script = [HEAD, chunk("Hello"), 0.01, finish, 0.01, LATE_USAGE[place], DONE]
        await asked(together.client(together.add_key()), stream=True)
        rows = together.rows()
    assert [(row.prompt_tokens, row.cached_tokens, row.price) for row in rows] == [(100, 40, PRICE)] * 2


async def test_every_path_and_every_name_of_a_model_counts(location: str) -> None:
    """BerriAI/litellm#38176 (an endpoint that is never counted), #42161, #38069 and #38344 (aliases priced at 0)."""
    script = answering()
    script[1] = event({"model": "x-20260930", "choices": [{"index": 0, "delta": {"content": "Hello"}}]})
    script[3] = event({"choices": [], "usage": reported(100, 20, 40) | {"cost": 99}})
    async with stubbed_gateway(location, script) as server:
        client = server.client(server.add_key())
        for path in (CHAT, "/v1/inference/chat/completions"):
            for model in ("m", "vendor/alias"):
                for stream in (False, True):
                    response = await client.post(path, json=body(model=model, stream=stream))
                    assert response.status_code == 200
        turbo = await asked(client, tier="turbo")
        rows = server.rows()
    assert [(row.model, row.price) for row in rows[:8]] == [("m", PRICE)] * 8
    assert (turbo["cost"], rows[8].price) == (usd_text(2 * PRICE), 2 * PRICE)


async def test_ids_that_repeat_lose_no_row(location: str) -> None:
    """BerriAI/litellm#28376, #39749 and #41273 (the upstream's id), #35563 (the client's header)."""
    script = answering()
    script[1] = event({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "Hello"}}]})
    async with stubbed_gateway(location, script) as server:
        client = server.client(server.add_key(credit=10**12), **{"x-request-id": "req-of-the-client"})
        for _ in range(3):
            await asked(client)
        rows = server.rows()
        assert len({row.id for row in rows}) == 3
        assert {row.request_id for row in rows} == {"req-of-the-client"}
        assert server.balance() == 10**12 - 3 * PRICE


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_fails_over_is_charged_once(location: str, stream: bool) -> None:
    """BerriAI/litellm#8810 (no cost after a fallback), #1787 and #509 of promptdriven/pdd (twice, or only the last)."""
    async with stubbed_gateway(location, status(500, "{}"), answering()) as server:
        usage = await asked(server.client(server.add_key(credit=10**12)), stream=stream)
        (row,) = server.rows()
        assert (row.deployment, row.price, row.cost) == ("m1", PRICE, cost_of(120, deployment=1))
        assert usage["cost"] == usd_text(PRICE)
        assert server.balance() == 10**12 - PRICE
        assert server.stub.bodies, "the first deployment was asked"


FAILURES: dict[str, list[Part]] = {
    "an error status": status(500, '{"error": {"message": "out of memory, a long text of an error"}}'),
    "an error in the stream": [HEAD, counted_chunk(1), 0.01, event({"error": {"message": "out of memory"}})],
    "no end": [HEAD, counted_chunk(1), 0.01, counted_chunk(2)],
    "a reset": [HEAD, counted_chunk(1), 0.01, None],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
async def test_what_an_upstream_server_fails_to_answer_is_not_charged(
    location: str, failure: str, stream: bool
) -> None:
    """QuantumNous/new-api#5288 (errors charged as output), #4168 (the prompt charged), #4429 (never given back)."""
    async with stubbed_gateway(location, FAILURES[failure]) as server:
        await server.client(server.add_key(credit=10**12)).post(CHAT, json=body(stream=stream))
        (row,) = await server.settled(1)
        assert (row.status, row.price, row.reserved) == ("error", 0, 0)
        assert row.error.startswith("upstream")
        assert (server.balance(), server.spent()) == (10**12, {})


async def test_each_choice_counts_and_the_prompt_counts_once(location: str) -> None:
    """openai/openai-python#155: whether n = 2 costs the prompt twice."""
    said = [chunk("a", index=index) + chunk(index=index, finish="stop") for index in range(3)]
    async with stubbed_gateway(location, [HEAD, *said, usage_event(100, 60), DONE]) as server:
        usage = await asked(server.client(server.add_key()), n=3)
        (row,) = server.rows()
    assert (row.prompt_tokens, row.completion_tokens, row.price) == (100, 60, price_of(100, 60))
    assert usage["cost"] == usd_text(row.price)


@pytest.mark.parametrize(
    "figures", [(2**40, 2**40, 0), (10**6, 50, 0), (100, 10**6, 0), (-5, -5, -5), (100, 20, 10**9)]
)
async def test_an_upstream_server_that_lies_costs_no_more_than_was_reserved(
    location: str, figures: tuple[int, int, int]
) -> None:
    """QuantumNous/new-api#5288 and #6138: more was charged than the request could cost."""
    async with stubbed_gateway(location, answering(*figures)) as server:
        key = server.add_key(credit=10**9)
        response = await server.client(key).post(CHAT, json=body())
        (row,) = server.rows()
        balance = server.balance()
    assert balance is not None
    assert 0 <= balance == 10**9 - row.price <= 10**9
    assert 0 <= row.cached_tokens <= row.prompt_tokens < 1000
    assert 0 <= row.completion_tokens <= 50
    assert row.price == price_of(row.prompt_tokens, row.completion_tokens, row.cached_tokens)
    assert response.json()["usage"]["cost"] == usd_text(row.price)


async def test_sums_of_small_prices_are_exact(location: str) -> None:
    """langwatch/langwatch#6440, mozilla-ai/otari#722, BerriAI/litellm#27735: sums of floats drift."""
    async with stubbed_gateway(location, answering(1, 0, 1)) as server:
        key = server.add_key(credit=10**12, scopes=("inference",))
        client = server.client(key)
        for _ in range(10):
            assert (await asked(client))["cost"] == "0.0000001"
        assert server.balance() == 999_999_000_000
        report = (await client.get("/v1/usage")).json()
        assert "0.000001" in str(report)
        assert sorted(server.spent().values()) == [10**6, 10**6]


async def test_a_client_that_closes_right_after_the_last_token_has_finished(location: str) -> None:
    """Of LiteLLM's users: a stream that ended well is logged as a disconnect, because the client closed first."""
    async with stubbed_gateway(location) as server:
        client = server.client(server.add_key())
        async with client.stream("POST", CHAT, json=body(stream=True)) as response:
            async for line in response.aiter_lines():
                if '"finish_reason":"stop"' in line:
                    break
        (row,) = await server.settled(1)
    assert (row.status, row.finish, row.price) == ("finished", "stop", PRICE)


async def test_the_spend_of_a_revoked_key_stays(location: str) -> None:
    """BerriAI/litellm#24225, #25710 and #18228: with a deleted key, its spend leaves the reports."""
    async with stubbed_gateway(location) as server:
        key, other = server.add_key(credit=10**12), server.add_key(scopes=("inference", "admin"))
        await asked(server.client(key))
        stored = next(one for one in server.administration.list_keys() if one.hint == key[-4:])
        server.administration.revoke_key(stored.id)
        assert (await server.client(key).post(CHAT, json=body())).status_code == 401
        report = (await server.client(other).get("/v1/usage", params={"account": "ada", "by": "key"})).json()
        assert stored.id in str(report)
        assert usd_text(PRICE) in str(report)
        assert server.balance() == 10**12 - PRICE


async def test_a_key_reads_only_its_own_spend(location: str) -> None:
    """BerriAI/litellm#1779: any key could read all spend."""
    async with stubbed_gateway(location) as server:
        mine, theirs = server.client(server.add_key("ada")), server.client(server.add_key("bob"))
        await asked(theirs)
        report = (await mine.get("/v1/usage")).json()
        assert usd_text(PRICE) not in str(report)
        assert (await mine.get("/v1/usage", params={"account": "bob"})).status_code == 403
        assert usd_text(PRICE) in str((await theirs.get("/v1/usage")).json())
