"""Failover before the first token, circuit breakers and the retry budget."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from oruel.backends.base import Backend
from oruel.errors import (
    ContextLengthExceeded,
    EngineFailed,
    InvalidParameter,
    Overloaded,
    UnsupportedParameter,
    UpstreamFailed,
    UpstreamUnavailable,
    VLLMReplaced,
    VLLMUnusable,
)
from oruel.router.catalog import Catalog, ModelCard
from oruel.router.circuit_breaker import PAUSE_SECONDS, TOLERATED
from oruel.router.deployment import Deployment, EmbeddedSource, UpstreamSource
from oruel.router.price import Price
from oruel.router.route import Route
from oruel.router.router import Router
from oruel.types import Accepted, ChatRequest, Delta, Message, Prepared, SamplingParams
from tests.fakes import PREPARED, FakeBackend, delta, deltas_of, doing, saying

CARD = ModelCard(name="m", context=512, vocabulary_size=100, created=0)
FAILED = UpstreamFailed("It broke off.")


def route(name: str, backend: Backend, cost: str = "1", **more: Any) -> Route:
    source = UpstreamSource("http://x", more.pop("kind", "oruel"), "m")
    return Route(Deployment(name, source, cost=Price(Decimal(cost)), **more), backend)


def request(**sampling: Any) -> ChatRequest:
    return ChatRequest("id", "m", (Message("user", "Hello"),), SamplingParams(**{"reproducible": False, **sampling}))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def router(*routes: Route, clock: Clock | None = None) -> Router:
    return Router(Catalog((CARD,)), {"m": routes}, clock or Clock())


Item = Prepared | Accepted | Delta


def answer(under_test: Router, asked: ChatRequest | None = None) -> list[Item]:
    async def run() -> list[Item]:
        return [one async for one in under_test.stream(asked or request())]

    return asyncio.run(run())


def text(items: list[Item]) -> str:
    return "".join(item.text for item in items if isinstance(item, Delta))


def accepted(items: list[Item]) -> Accepted:
    """The only Accepted of the answer, which has to come between the last Prepared and the deltas."""
    (found,) = [item for item in items if isinstance(item, Accepted)]
    before = items[: items.index(found)]
    assert before
    assert all(isinstance(item, Prepared) for item in before)
    return found


def test_another_deployment_answers_after_a_failure_before_the_first_token() -> None:
    for failure in (FAILED, EngineFailed("It died."), Overloaded("Its queue is full.")):
        bad, good = FakeBackend(doing(failure)), FakeBackend(saying("fine"))
        items = answer(router(route("bad", bad, "0.1"), route("good", good)))
        assert text(items) == "fine"
        assert accepted(items).deployment == "good"
        assert (len(bad.requests), len(good.requests)) == (1, 1)


def test_nothing_is_retried_after_the_first_content() -> None:
    bad, good = FakeBackend(doing(delta("half"), FAILED)), FakeBackend(saying("fine"))
    with pytest.raises(UpstreamFailed):
        answer(router(route("bad", bad, "0.1"), route("good", good)))
    assert good.requests == []


def test_an_invalid_request_is_not_retried() -> None:
    strict, good = FakeBackend(doing(InvalidParameter("No.", param="x"))), FakeBackend(saying("fine"))
    routes = [route("strict", strict, "0.1"), route("good", good)]
    for _ in range(TOLERATED + 2):
        with pytest.raises(InvalidParameter):
            answer(router(*routes))
    assert good.requests == []
    assert routes[0].breaker.allows(0), "the deployment stays healthy"


def test_repeated_failures_open_the_circuit_breaker_until_a_probe() -> None:
    clock = Clock()
    bad, good = FakeBackend(doing(FAILED)), FakeBackend(saying("fine"))
    under_test = router(route("bad", bad, "0.1"), route("good", good), clock=clock)
    for _ in range(10):
        assert text(answer(under_test)) == "fine"
    assert len(bad.requests) == TOLERATED
    clock.now = PAUSE_SECONDS + 1
    bad.script = saying("back")
    assert [text(answer(under_test)) for _ in range(3)] == ["back"] * 3


def test_if_every_deployment_is_paused_the_error_has_a_retry_after() -> None:
    under_test = router(route("bad", FakeBackend(doing(FAILED))))
    for _ in range(TOLERATED):
        with pytest.raises(UpstreamFailed):
            answer(under_test)
    with pytest.raises(Overloaded, match="is paused") as refused:
        answer(under_test)
    assert refused.value.retry_after >= 1


def test_the_retry_budget_limits_the_load_of_a_failing_fleet() -> None:
    clock, asked = Clock(), [FakeBackend(doing(FAILED)) for _ in range(40)]
    under_test = router(*(route(f"d{number}", one) for number, one in enumerate(asked)), clock=clock)
    requests = 60
    for _ in range(requests):
        with pytest.raises((UpstreamFailed, Overloaded)):
            answer(under_test)
    assert sum(len(one.requests) for one in asked) <= requests * 1.2 + 10


@pytest.mark.parametrize("error", [UpstreamUnavailable, VLLMUnusable, VLLMReplaced])
def test_a_deployment_that_computed_nothing_uses_no_retry_budget(error: type[UpstreamFailed]) -> None:
    gone, good = FakeBackend(doing(0.01, error("It is gone."))), FakeBackend(saying("fine"))
    under_test = router(route("gone", gone, "0.1"), route("good", good))

    async def herd() -> list[str]:
        async def one() -> str:
            return text([delta async for delta in under_test.stream(request())])

        return await asyncio.gather(*(one() for _ in range(64)))

    assert asyncio.run(herd()) == ["fine"] * 64


def test_a_prompt_too_long_for_one_deployment_is_tried_on_another() -> None:
    small = FakeBackend(doing(ContextLengthExceeded("Too long.", param="messages")))
    small_route = route("small", small, "0.1")
    assert text(answer(router(small_route, route("large", FakeBackend(saying("fine")))))) == "fine"
    assert small_route.failed == 0
    with pytest.raises(ContextLengthExceeded):
        answer(router(small_route))


def test_differences_reported_by_another_oruel_must_be_accepted() -> None:
    inner = FakeBackend(doing(Accepted(differs=("seed",)), delta("other", finish="stop")))
    exact = FakeBackend(saying("exact"))
    assert text(answer(router(route("inner", inner, "0.1"), route("exact", exact)))) == "exact"
    with pytest.raises(UnsupportedParameter, match="seed") as refused:
        answer(router(route("inner", inner)))
    assert refused.value.param == "seed"
    accepting = answer(router(route("inner", inner, accepts=frozenset({"seed"}))))
    assert (text(accepting), accepted(accepting).differs) == ("other", ("seed",))


def test_repeated_failures_in_midstream_open_the_circuit_breaker() -> None:
    bad, good = FakeBackend(doing(delta("half"), FAILED)), FakeBackend(saying("fine"))
    clock = Clock()
    under_test = router(route("bad", bad, "0.1"), route("good", good), clock=clock)
    for _ in range(TOLERATED):
        clock.now += 1
        with pytest.raises(UpstreamFailed):
            answer(under_test)
    assert text(answer(under_test)) == "fine"


def test_callers_who_give_up_waiting_open_the_circuit_breaker() -> None:
    clock = Clock()
    hung, good = FakeBackend(doing(3600.0)), FakeBackend(saying("fine"))
    slow = route("hung", hung, "0.1", first_token_seconds=10.0)
    under_test = router(slow, route("good", good), clock=clock)

    async def leave_after(seconds: float) -> None:
        waiting = asyncio.ensure_future(deltas_of(under_test.stream(request())))
        await asyncio.sleep(0)
        clock.now += seconds
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    for _ in range(TOLERATED):
        asyncio.run(leave_after(1.0))
    assert slow.breaker.allows(clock.now), "callers who leave early don't count as failures"
    for _ in range(TOLERATED):
        asyncio.run(leave_after(6.0))
    assert text(answer(under_test)) == "fine"
    assert slow.running == 0


def test_retry_after_is_the_time_until_the_next_probe() -> None:
    clock = Clock()
    under_test = router(route("bad", FakeBackend(doing(FAILED))), clock=clock)
    for _ in range(TOLERATED):
        clock.now += 0.5
        with pytest.raises(UpstreamFailed):
            answer(under_test)
    clock.now += 1
    with pytest.raises(Overloaded) as refused:
        answer(under_test)
    assert refused.value.retry_after == PAUSE_SECONDS - 1


def test_differences_must_be_accepted_and_are_reported() -> None:
    backend = FakeBackend(saying("a"))
    with pytest.raises(UnsupportedParameter, match="repetition_penalty can't be honoured exactly") as refused:
        answer(router(route("v", backend, kind="vllm")), request(repetition_penalty=1.2))
    assert refused.value.param == "repetition_penalty"
    accepting = route("v", backend, kind="vllm", accepts=frozenset({"repetition_penalty"}))
    assert accepted(answer(router(accepting), request(repetition_penalty=1.2))).differs == ("repetition_penalty",)
    assert accepted(answer(router(accepting), request())).differs == ()


def test_unsupported_parameters_are_refused_even_if_accepted() -> None:
    backend = FakeBackend(saying("a"))
    every = frozenset({"top_k", "min_p", "seed"})
    with pytest.raises(UnsupportedParameter, match="top_k") as refused:
        answer(router(route("o", backend, kind="openai", accepts=every)), request(top_k=50))
    assert refused.value.param == "top_k"
    exact = route("own", FakeBackend(saying("own")), "9")
    assert text(answer(router(route("o", backend, kind="openai", accepts=every), exact), request(top_k=50))) == "own"


def test_a_cancelled_request_stops_counting_as_running() -> None:
    only = route("a", FakeBackend(saying("one", "two")))

    async def leave() -> None:
        stream = router(only).stream(request())
        await anext(stream)
        assert only.running == 1
        await stream.aclose()

    asyncio.run(leave())
    assert only.running == 0


def test_an_embedded_engine_has_no_circuit_breaker() -> None:
    backend = FakeBackend(doing(EngineFailed("It died.")))
    own = Route(Deployment("own", EmbeddedSource("demo")), backend)
    for _ in range(2 * TOLERATED):
        with pytest.raises(EngineFailed):
            answer(router(own))
    backend.script = saying("back")
    assert text(answer(router(own))) == "back"


def test_each_deployment_prepares_before_it_answers() -> None:
    bad, good = FakeBackend(doing(FAILED)), FakeBackend(saying("fine"))
    items = answer(router(route("bad", bad, "0.1"), route("good", good)))
    assert [item for item in items if not isinstance(item, Delta)] == [PREPARED, PREPARED, Accepted(deployment="good")]


def test_a_deployment_whose_caller_leaves_after_its_preparation_computes_nothing() -> None:
    clock, backend = Clock(), FakeBackend(saying("one"))
    only = route("a", backend)

    async def leave() -> None:
        stream = router(only, clock=clock).stream(request())
        assert await anext(stream) == PREPARED
        clock.now += 1000.0
        await stream.aclose()

    asyncio.run(leave())
    assert (backend.computed, backend.open, only.running, only.failed) == (0, 0, 0, 0)
    assert only.latency.mean is None


def test_the_time_before_the_next_item_after_a_preparation_is_not_the_deployments() -> None:
    clock, only = Clock(), route("a", FakeBackend(saying("one")))

    async def hold() -> None:
        async for item in router(only, clock=clock).stream(request()):
            clock.now += 1000.0 if isinstance(item, Prepared) else 1.0

    asyncio.run(hold())
    assert only.latency.mean == 0.0
