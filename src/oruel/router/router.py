"""Which deployment answers a request; another one where that fails before its first token."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from oruel.errors import Overloaded, RequestError, ServerError, UnsupportedParameter, UpstreamFailed
from oruel.router.catalog import Catalog
from oruel.router.ranking import Candidate, is_able, ranked
from oruel.router.retries import RetryBudget
from oruel.router.route import Route
from oruel.types import ChatRequest, Delta

PREFIX_CHARACTERS = 1024
TO_RETRY = (UpstreamFailed, Overloaded)


class Router:
    """A Backend over the deployments of each model, by its own name. `clock` gives seconds that don't run backwards.

    Raises ModelNotFound for names that the catalog doesn't hold, UnsupportedParameter for what none of the model's
    deployments can do.
    """

    def __init__(
        self, catalog: Catalog, routes: Mapping[str, Sequence[Route]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._routes = routes
        self._clock = clock
        self._retries = RetryBudget()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        routes = self._able(request)
        self._retries.earn()
        failure: ServerError = Overloaded("Every deployment of this model has failed and is left alone for a while.")
        for attempt, (route, candidate) in enumerate(self._order(request, routes)):
            if attempt and not self._retries.spend():
                break
            answer = Answer(route, candidate, self._clock)
            try:
                async with aclosing(answer.deltas(request)) as deltas:
                    async for delta in deltas:
                        yield delta
                return
            except TO_RETRY as error:
                if answer.has_begun:
                    raise
                failure = error
        raise failure

    def _able(self, request: ChatRequest) -> list[Route]:
        """Those that can honour the request, healthy or not. Raises UnsupportedParameter where there are none."""
        routes = self._routes[self._catalog.resolve(request.model).name]
        now = self._clock()
        able = [
            one
            for one in routes
            if not one.verdict(request).refused and is_able(one.candidate(request, now), request.tier)
        ]
        if not able:
            raise not_served(request, routes)
        return able

    def _order(self, request: ChatRequest, routes: list[Route]) -> list[tuple[Route, Candidate]]:
        now = self._clock()
        by_name = {route.deployment.name: route for route in routes}
        candidates = [route.candidate(request, now) for route in routes]
        order = ranked(candidates, request.tier, prefix_of(request))
        return [(by_name[one.deployment.name], one) for one in order]


class Answer:
    """One attempt at a request, counted and timed. `has_begun`: somebody was shown something of it."""

    def __init__(self, route: Route, candidate: Candidate, clock: Callable[[], float]) -> None:
        self.has_begun = False
        self._route = route
        self._candidate = candidate
        self._clock = clock

    async def deltas(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The first says that the request left the queue, and for which deployment."""
        route, start, is_named = self._route, self._clock(), False
        route.breaker.begin()
        route.running += 1
        try:
            async with aclosing(route.backend.stream(request)) as deltas:
                async for delta in deltas:
                    if delta.queued is not None:
                        is_named = True
                        yield self._named(delta)
                        continue
                    if not self.has_begun:
                        route.pace.measure(self._clock() - start, self._clock())
                        route.breaker.succeed()
                        if not is_named:
                            yield self._named(Delta(delta.choice, delta.model, delta.tier, queued=0.0))
                        self.has_begun = True
                    yield delta
        except RequestError:
            # The caller's fault, which the deployment was well enough to see.
            route.breaker.succeed()
            raise
        except ServerError:
            route.failed(self._clock())
            raise
        finally:
            route.breaker.abandon()
            route.running -= 1

    def _named(self, delta: Delta) -> Delta:
        return replace(delta, deployment=self._candidate.deployment.name, differs=self._candidate.differs)


def prefix_of(request: ChatRequest) -> bytes:
    """What requests that may share computed tokens have in common, cheaply: how their conversation begins."""
    begin = "".join(f"{message.role}{message.content[:PREFIX_CHARACTERS]}" for message in request.messages[:2])
    return f"{request.account}\0{begin[:PREFIX_CHARACTERS]}".encode(errors="replace")


def blocked(request: ChatRequest, route: Route) -> tuple[str, ...]:
    """The parameters for which this deployment can't have the request."""
    found = route.verdict(request)
    return (*found.refused, *(name for name in found.differs if name not in route.deployment.accepts))


def not_served(request: ChatRequest, routes: Sequence[Route]) -> UnsupportedParameter:
    """Names the parameters that stand in the way, as few as one of the deployments needs."""
    blocking = [blocked(request, route) for route in routes if request.tier in route.deployment.tiers]
    names = min(blocking, key=len, default=("tier",))
    return UnsupportedParameter(
        f"{' and '.join(names)} can't be honoured exactly by any deployment of {request.model}. Leave "
        f"{'it' if len(names) == 1 else 'them'} out, or choose another model.",
        param=names[0],
    )
