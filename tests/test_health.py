"""/health with several models: healthy while one of them is available, and it names the others."""

from dataclasses import replace

from oruel.app import health
from oruel.bookkeeping import NO_BOOKS
from oruel.fleet.running import RunningModel
from oruel.router.catalog import ModelCard
from oruel.router.circuit_breaker import TOLERATED
from oruel.router.deployment import Deployment, UpstreamSource
from oruel.router.route import Route
from tests.fakes import FakeBackend


def model(name: str) -> RunningModel:
    card = ModelCard(name=name, context=None, vocabulary_size=None, created=0)
    routes = [
        Route(Deployment(f"{name}-{number}", UpstreamSource("http://x", "oruel", "m")), FakeBackend())
        for number in (1, 2)
    ]
    return RunningModel(card, routes)


def fail(route: Route) -> None:
    for now in range(TOLERATED):
        sent = route.send(float(2**31 + now))
        route.fail(sent, float(2**31 + now))
        route.end(sent)


def test_one_available_deployment_is_enough() -> None:
    only = model("a")
    fail(only.routes[0])
    state = health([only])
    assert (state.status, state.detail) == ("ok", "")
    assert state.deployments == {"a-1": False, "a-2": True}


def test_an_unavailable_model_is_named_and_the_rest_stay_healthy() -> None:
    down, up = model("down"), model("up")
    for route in down.routes:
        fail(route)
    state = health([down, up])
    assert (state.status, state.detail) == ("ok", "No deployment of down is available.")
    for route in up.routes:
        fail(route)
    assert health([down, up]).status == "failed"


def test_a_server_that_can_not_record_requests_is_not_healthy() -> None:
    state = health([model("a")], replace(NO_BOOKS, is_available=lambda: False))
    assert (state.status, state.detail) == ("failed", "The ledger is not available, so that requests are refused.")
