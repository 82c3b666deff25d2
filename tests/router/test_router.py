"""Resolving model names and routing to backends."""

import asyncio

import pytest

from oruel.backends.base import Backend
from oruel.errors import ModelNotFound
from oruel.router.catalog import Catalog, ModelCard
from oruel.router.deployment import Deployment, EmbeddedSource
from oruel.router.route import Route
from oruel.router.router import Router
from oruel.types import ChatRequest, Message, SamplingParams
from tests.fakes import FakeBackend, deltas_of, saying

SMALL = ModelCard(name="small", context=512, vocabulary_size=100, created=0, aliases=("llama-4-maverick", "tiny"))
LARGE = ModelCard(name="large", context=4096, vocabulary_size=100, created=0)


def test_a_model_is_found_by_its_name_and_its_aliases() -> None:
    catalog = Catalog((SMALL, LARGE))
    assert catalog.resolve("small") is catalog.resolve("tiny") is catalog.resolve("llama-4-maverick") is SMALL
    assert catalog.resolve("large") is LARGE


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ModelNotFound, match=r'Did you mean "large"\?.*GET /v1/models') as refused:
        Catalog((SMALL, LARGE)).resolve("larg")
    assert refused.value.param == "model"
    assert refused.value.status == 404


def test_a_long_model_name_is_abbreviated_in_the_message() -> None:
    with pytest.raises(ModelNotFound) as refused:
        Catalog((SMALL,)).resolve("\ud800x" * 10_000)
    assert len(refused.value.message.encode()) < 300


def route(name: str, backend: Backend) -> Route:
    return Route(Deployment(name, EmbeddedSource("demo")), backend)


def request(model: str) -> ChatRequest:
    return ChatRequest("id", model, (Message("user", "Hello"),), SamplingParams())


def test_a_request_goes_only_to_the_backend_of_its_model() -> None:
    small, large = FakeBackend(saying("small")), FakeBackend(saying("large"))
    router = Router(Catalog((SMALL, LARGE)), {"small": [route("a", small)], "large": [route("b", large)]})

    async def text() -> str:
        return "".join([delta.text for delta in await deltas_of(router.stream(request("tiny")))])

    assert asyncio.run(text()) == "small"
    assert large.requests == []


def test_closing_the_stream_of_the_router_closes_that_of_the_backend() -> None:
    backend = FakeBackend(saying("one", "two"))

    async def leave_early() -> None:
        stream = Router(Catalog((SMALL,)), {"small": [route("a", backend)]}).stream(request("small"))
        await anext(stream)
        await stream.aclose()
        assert backend.open == 0
        assert backend.cut_short == 1

    asyncio.run(leave_early())
