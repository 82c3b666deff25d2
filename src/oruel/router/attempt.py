"""One attempt to answer a request by one deployment: counted, timed, and labelled."""

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
    """`has_begun`: somebody was shown something of the answer."""

    def __init__(self, route: Route, candidate: Candidate, clock: Callable[[], float]) -> None:
        self.has_begun = False
        self._route = route
        self._candidate = candidate
        self._clock = clock

    async def deltas(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The first says that the request left the queue, and for which deployment."""
        use = self._route.use(self._clock())
        is_named = False
        try:
            async with aclosing(self._route.backend.stream(request)) as deltas:
                async for delta in deltas:
                    if delta.queued is not None:
                        is_named = True
                        yield self._named(delta)
                        continue
                    if not self.has_begun:
                        use.begin(self._clock())
                        if not is_named:
                            yield self._named(Delta(delta.choice, delta.model, delta.tier, queued=0.0))
                        self.has_begun = True
                    yield delta
            use.succeed()
        except RequestError:
            # The caller's fault, so the deployment is healthy.
            use.succeed()
            raise
        except (GeneratorExit, asyncio.CancelledError):
            use.abandon(self._clock())
            raise
        except Exception:
            # Unexpected exceptions count as failures of the deployment, too.
            use.fail(self._clock())
            raise
        finally:
            use.end()

    def _named(self, delta: Delta) -> Delta:
        """Raises UnsupportedParameter where a server says that it differs in what isn't accepted of it. What is left
        out of a schema that isn't strict comes with a colon, and needs nobody's acceptance.
        """
        deployment = self._candidate.deployment
        parameters = [name for name in delta.differs if ":" not in name]
        if unaccepted := [name for name in parameters if name not in deployment.accepts]:
            raise not_honoured(unaccepted, delta.model)
        differs = tuple(dict.fromkeys((*self._candidate.differs, *delta.differs)))
        return replace(delta, deployment=deployment.name, differs=differs)
