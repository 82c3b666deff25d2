"""One attempt to answer a request with one deployment."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from oruel.errors import RequestError
from oruel.router.ranking import Candidate
from oruel.router.refusals import unsupported_error
from oruel.router.route import Route
from oruel.types import Accepted, Answer, ChatRequest, Prepared


class Attempt:
    """`has_begun`: the caller has received a delta, so that no other deployment can answer."""

    def __init__(self, route: Route, candidate: Candidate, clock: Callable[[], float]) -> None:
        self.has_begun = False
        self._route = route
        self._candidate = candidate
        self._clock = clock

    async def answer(self, request: ChatRequest) -> Answer:
        route, sent = self._route, self._route.send(self._clock())
        is_accepted = is_held = False
        try:
            async with aclosing(route.backend.stream(request)) as answer:
                async for item in answer:
                    if isinstance(item, Prepared):
                        # The deployment isn't charged for the time that the ledger takes.
                        held, is_held = self._clock(), True
                        yield item
                        is_held = False
                        sent.began += self._clock() - held
                        continue
                    if isinstance(item, Accepted):
                        is_accepted = True
                        yield self._label(item, request.model)
                        continue
                    if not self.has_begun:
                        route.begin(sent, self._clock())
                        if not is_accepted:
                            yield self._label(Accepted(), request.model)
                        self.has_begun = True
                    yield item
            route.breaker.succeed(sent)
        except RequestError:
            # The request is invalid; the deployment is healthy.
            route.breaker.succeed(sent)
            raise
        except (GeneratorExit, asyncio.CancelledError):
            if not is_held:
                route.abandon(sent, self._clock())
            raise
        except Exception:
            # Unexpected exceptions also count as failures of the deployment.
            route.fail(sent, self._clock())
            raise
        finally:
            route.end(sent)

    def _label(self, accepted: Accepted, model: str) -> Accepted:
        """Raises UnsupportedParameter if the server reports a difference that the catalog doesn't accept. Entries with
        a colon are keywords left out of a schema that isn't strict, which need no acceptance.
        """
        deployment = self._candidate.deployment
        parameters = [name for name in accepted.differs if ":" not in name]
        if unaccepted := [name for name in parameters if name not in deployment.accepts]:
            raise unsupported_error(unaccepted, model)
        differs = tuple(dict.fromkeys((*self._candidate.differs, *accepted.differs)))
        return replace(accepted, deployment=deployment.name, differs=differs)
