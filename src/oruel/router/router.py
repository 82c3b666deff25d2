"""Routes each request to a deployment, and retries elsewhere if it fails before the first token."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing

import structlog

from oruel.errors import (
    ContextLengthExceeded,
    OruelError,
    Overloaded,
    UnsupportedParameter,
    UpstreamFailed,
    UpstreamUnavailable,
    VLLMReplaced,
    VLLMUnusable,
)
from oruel.router.attempt import Attempt
from oruel.router.catalog import Catalog
from oruel.router.ranking import Candidate, is_able, rank
from oruel.router.refusals import unserved_error
from oruel.router.retries import RetryBudget
from oruel.router.route import Route
from oruel.types import Answer, ChatRequest

PREFIX_CHARACTERS = 1024
# Errors that depend on the deployment: its context may be too short, or it may differ in a parameter.
BETTER_ELSEWHERE = (ContextLengthExceeded, UnsupportedParameter)
# Nothing was computed, so a retry elsewhere costs the fleet nothing extra.
FREE_TO_RETRY = (*BETTER_ELSEWHERE, UpstreamUnavailable, VLLMUnusable, VLLMReplaced, Overloaded)
TO_RETRY = (*FREE_TO_RETRY, UpstreamFailed)

log = structlog.get_logger("oruel.router")


class Router:
    """A Backend that routes over the deployments of each model. `clock` returns monotonic seconds.

    Raises ModelNotFound for an unknown model, and UnsupportedParameter if no deployment supports the request.
    """

    def __init__(
        self, catalog: Catalog, routes: Mapping[str, Sequence[Route]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._routes = routes
        self._clock = clock
        self._retries: defaultdict[str, RetryBudget] = defaultdict(RetryBudget)

    async def stream(self, request: ChatRequest) -> Answer:
        model = self._catalog.resolve(request.model).name
        able = self._able_routes(request, self._routes[model])
        budget = self._retries[model]
        budget.earn()
        failure: OruelError | None = None
        for route, candidate in self._ranked_routes(request, able):
            if failure and not isinstance(failure, FREE_TO_RETRY) and not budget.spend():
                break
            attempt = Attempt(route, candidate, self._clock)
            try:
                async with aclosing(attempt.answer(request)) as answer:
                    async for item in answer:
                        yield item
                return
            except TO_RETRY as error:
                log_failure(request, route, error)
                if attempt.has_begun:
                    raise
                failure = error
        raise failure or self._outage([route for route, _ in able])

    def _able_routes(self, request: ChatRequest, routes: Sequence[Route]) -> list[tuple[Route, Candidate]]:
        """The deployments that support the request, healthy or not. Raises UnsupportedParameter if there are none."""
        now = self._clock()
        candidates = [(one, one.candidate(request, now)) for one in routes if not one.verdict(request).refused]
        able = [(route, candidate) for route, candidate in candidates if is_able(candidate, request.tier)]
        if not able:
            raise unserved_error(request, routes)
        return able

    def _ranked_routes(
        self, request: ChatRequest, able: list[tuple[Route, Candidate]]
    ) -> Iterator[tuple[Route, Candidate]]:
        """Best first. Checks each deployment again before yielding it."""
        by_name = {route.deployment.name: route for route, _ in able}
        for one in rank([candidate for _, candidate in able], request.tier, prefix_key(request)):
            route = by_name[one.deployment.name]
            if route.is_available(self._clock()):
                yield route, one

    def _outage(self, routes: Sequence[Route]) -> OruelError:
        """Why none of the deployments can be used now: a problem that is known, or else that all are paused."""
        problem = next((route.problem for route in routes if route.problem), None)
        # The same error is raised for many requests, whose frames it must not keep.
        return problem.with_traceback(None) if problem else self._all_paused(routes)

    def _all_paused(self, routes: Sequence[Route]) -> Overloaded:
        soonest = min(route.breaker.opened + route.breaker.pause for route in routes) - self._clock()
        return Overloaded(
            "Every deployment of this model has failed repeatedly and is paused. Try again later.",
            retry_after=max(1, math.ceil(soonest)),
        )


def log_failure(request: ChatRequest, route: Route, error: OruelError) -> None:
    detail = error.detail if isinstance(error, UpstreamFailed) else ""
    log.warning(
        "deployment failed",
        completion=request.id,
        deployment=route.deployment.name,
        error=error.code,
        message=error.message,
        **({"detail": detail} if detail else {}),
    )


def prefix_key(request: ChatRequest) -> bytes:
    """The start of the conversation, as a cheap key for requests that may share a prefix."""
    begin = "".join(f"{message.role}{message.content[:PREFIX_CHARACTERS]}" for message in request.messages[:2])
    return f"{request.account}\0{begin[:PREFIX_CHARACTERS]}".encode(errors="replace")
