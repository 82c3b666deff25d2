"""One attempt to answer a request with one deployment."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from oruel.errors import RequestError
from oruel.router.ranking import Candidate
from oruel.router.refusals import not_honoured
from oruel.router.route import Route
from oruel.types import ChatRequest, Delta


class Attempt:
    """Records the outcome on the route. `has_begun`: part of the answer was yielded, so it can't be retried."""

    def __init__(self, route: Route, candidate: Candidate, clock: Callable[[], float]) -> None:
        self.has_begun = False
        self._route = route
        self._candidate = candidate
        self._clock = clock

    async def deltas(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer, preceded by deltas with `queued`, `deployment` and `differs`. Raises what the backend raises."""
        use = self._route.use(self._clock())
        is_named = False
        try:
            async with aclosing(self._route.backend.stream(request)) as deltas:
                async for delta in deltas:
                    if delta.queued is not None:
                        is_named = True
                        yield self._add_deployment(delta)
                        continue
                    if not self.has_begun:
                        use.begin(self._clock())
                        if not is_named:
                            yield self._add_deployment(Delta(delta.choice, delta.model, delta.tier, queued=0.0))
                        self.has_begun = True
                    yield delta
            use.succeed()
        except RequestError:
            # The request is invalid; the deployment is healthy.
            use.succeed()
            raise
        except (GeneratorExit, asyncio.CancelledError):
            use.abandon(self._clock())
            raise
        except Exception:
            # Unexpected exceptions also count as failures of the deployment.
            use.fail(self._clock())
            raise
        finally:
            use.end()

    def _add_deployment(self, delta: Delta) -> Delta:
        """Adds the deployment to the delta. Raises UnsupportedParameter if the server differs in a parameter that the
        catalog doesn't accept. Entries with a colon name unenforced keywords of a schema that isn't strict: they need
        no acceptance.
        """
        deployment = self._candidate.deployment
        parameters = [name for name in delta.differs if ":" not in name]
        if unaccepted := [name for name in parameters if name not in deployment.accepts]:
            raise not_honoured(unaccepted, delta.model)
        differs = tuple(dict.fromkeys((*self._candidate.differs, *delta.differs)))
        return replace(delta, deployment=deployment.name, differs=differs)
