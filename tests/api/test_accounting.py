"""What the API and the ledger tell each other: prices, limits, refusals, and answers that are sent again."""

import json
from decimal import Decimal
from typing import Any

import pytest

from oruel.api.idempotency import MAX_STORED_BYTES
from oruel.api.rate_headers import duration_text
from oruel.errors import IdempotencyConflict, InsufficientFunds, OruelError, RateLimited, StoreUnavailable
from oruel.ledger.entries import Allowance, Opened
from tests.api.conftest import CHAT, Client, Serve, chat
from tests.api.ledgers import FakeLedger
from tests.fakes import FakeBackend, saying

pytestmark = pytest.mark.anyio

SECOND = 10**6
LIMITED = Opened(requests=Allowance(60, 59, SECOND), tokens=Allowance(40000, 39000, 90 * SECOND + 1))
HEADERS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "40000",
    "x-ratelimit-remaining-tokens": "39000",
    "x-ratelimit-reset-tokens": "1m30.001s",
}


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def metered(serve: Serve, ledger: FakeLedger) -> Client:
    return serve(ledger=ledger)


def events(text: str) -> list[Any]:
    *chunks, done = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


@pytest.mark.parametrize("cost", ["0.00042", "0", "12.5", "0.000000000001"])
async def test_usage_names_the_price_that_the_ledger_recorded(serve: Serve, cost: str) -> None:
    client = serve(ledger=FakeLedger(cost=Decimal(cost)))
    whole = (await client.post(CHAT, json=chat())).json()
    assert whole["usage"]["cost"] == cost
    for options, place in (({}, "stop"), ({"stream_options": {"include_usage": True}}, None)):
        last = events((await client.post(CHAT, json=chat(stream=True, **options))).text)[-1]
        assert last["usage"] == whole["usage"]
        assert [choice["finish_reason"] for choice in last["choices"]] == ([place] if place else [])


async def test_without_a_ledger_usage_names_no_price(client: Client) -> None:
    assert "cost" not in (await client.post(CHAT, json=chat())).json()["usage"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_limits_of_a_key_are_in_the_headers(metered: Client, ledger: FakeLedger, stream: bool) -> None:
    ledger.opened = LIMITED
    response = await metered.post(CHAT, json=chat(stream=stream))
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    ledger.opened = Opened(requests=LIMITED.requests)
    response = await metered.post(CHAT, json=chat(stream=stream))
    assert {name for name in response.headers if name.startswith("x-ratelimit")} == set(list(HEADERS)[:3])
    ledger.opened = Opened()
    assert not [name for name in (await metered.post(CHAT, json=chat())).headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0, "0s"), (1, "1ms"), (12_000, "12ms"), (999_000, "999ms"), (999_001, "1s"), (1_500_000, "1.5s"),
     (8_640_000, "8.64s"), (60_000_000, "1m0s"), (360_000_000, "6m0s"), (86_400_001, "1m26.401s")],
)  # fmt: skip
def test_durations_are_written_as_openai_writes_them(microseconds: int, text: str) -> None:
    assert duration_text(microseconds) == text


REFUSALS: list[tuple[OruelError, int, str, str | None]] = [
    (RateLimited("Too many.", retry_after=7), 429, "rate_limit_error", "7"),
    (RateLimited("Too long for the limit."), 429, "rate_limit_error", None),
    (InsufficientFunds("1 USD is needed, 0.5 are there."), 402, "insufficient_funds", None),
    (IdempotencyConflict("Another body.", param="Idempotency-Key"), 409, "invalid_request_error", None),
    (StoreUnavailable("No store."), 503, "overloaded_error", "1"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("refusal", "status", "kind", "retry"), REFUSALS, ids=[row[0].message for row in REFUSALS])
async def test_a_refused_request_has_its_own_status_and_computes_nothing(
    metered: Client, ledger: FakeLedger, backend: FakeBackend, refusal: OruelError, status: int, kind: str,
    retry: str | None, stream: bool,
) -> None:  # fmt: skip
    ledger.opened = Opened(refusal, LIMITED.requests, LIMITED.tokens)
    response = await metered.post(CHAT, json=chat(stream=stream))
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.headers.get("retry-after") == retry
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert (len(backend.requests), backend.computed, backend.open) == (1, 0, 0)


@pytest.mark.parametrize("path", [CHAT, "/v1/inference/chat/completions"])
async def test_the_key_of_a_repeated_request_stands_for_its_path_and_body(
    metered: Client, ledger: FakeLedger, path: str
) -> None:
    for body in (chat(), chat(seed=1), chat()):
        await metered.post(path, json=body, headers={"idempotency-key": "a key ~"})
    await metered.post(path, json=chat())
    first, other, again, without = ledger.contexts
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert len(first.fingerprint) == 64
    assert (first.idempotency_key, without.idempotency_key, without.fingerprint) == ("a key ~", "", "")


@pytest.mark.parametrize("key", ["", "k" * 256, "clé".encode(), b"tab\tinside"])
async def test_an_invalid_idempotency_key_is_refused_by_name(metered: Client, key: str | bytes) -> None:
    sent = key if isinstance(key, bytes) else key.encode()
    response = await metered.post(CHAT, json=chat(), headers={b"idempotency-key": sent})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "Idempotency-Key")
    assert "1 to 255 printable ASCII" in error["message"]


async def test_two_idempotency_keys_are_refused(metered: Client) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    response = await metered.post(CHAT, json=chat(), headers=headers)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_repeated_request_gets_the_same_bytes_again(
    metered: Client, ledger: FakeLedger, backend: FakeBackend, stream: bool
) -> None:
    headers, body = {"idempotency-key": "k"}, chat(stream=stream)
    first = await metered.post(CHAT, json=body, headers=headers)
    [context] = ledger.settled
    assert context.answer
    assert context.media_type
    ledger.opened = Opened(replay=(context.answer, context.media_type))
    again = await metered.post(CHAT, json=body, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (again.headers["x-oruel-replayed"], first.headers.get("x-oruel-replayed")) == ("true", None)
    assert again.headers["x-request-id"]
    assert backend.computed == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_only_short_answers_to_requests_with_a_key_are_stored(
    metered: Client, ledger: FakeLedger, backend: FakeBackend, stream: bool
) -> None:
    await metered.post(CHAT, json=chat(stream=stream))
    backend.script = saying("x" * (MAX_STORED_BYTES // 2), "é" * (MAX_STORED_BYTES // 4), "x")
    await metered.post(CHAT, json=chat(stream=stream), headers={"idempotency-key": "k"})
    backend.script = saying("x" * (MAX_STORED_BYTES // 2), "é")
    await metered.post(CHAT, json=chat(stream=stream), headers={"idempotency-key": "k"})
    assert [context.answer is not None for context in ledger.settled] == [False, False, True]


async def test_an_answer_is_handed_to_the_ledger_before_it_ends(metered: Client, ledger: FakeLedger) -> None:
    response = await metered.post(CHAT, json=chat(stream=True), headers={"idempotency-key": "k"})
    [context] = ledger.settled
    assert f"{context.answer}data: [DONE]\n\n" == response.text


async def test_metrics_sum_prices_by_model_and_tier_and_name_no_account(serve: Serve) -> None:
    client = serve(ledger=FakeLedger(cost=Decimal("0.25")))
    for _ in range(2):
        await client.post(CHAT, json=chat())
    lines = (await client.get("/metrics")).text.splitlines()
    assert 'oruel_price_usd_total{model="demo",tier="standard"} 0.5' in lines
    assert not [line for line in lines if "account" in line or "key" in line]
