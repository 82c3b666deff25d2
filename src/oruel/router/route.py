"""A deployment in use: its backend, and what the router has observed."""

from dataclasses import dataclass, field

from oruel.backends.abilities import ParameterSupport, verdict
from oruel.backends.base import Backend
from oruel.router.circuit_breaker import BreakerTrial, CircuitBreaker
from oruel.router.deployment import Deployment, UpstreamSource
from oruel.router.latency import FirstTokenLatency
from oruel.router.ranking import Candidate
from oruel.types import ChatRequest

NOTHING = ParameterSupport()


@dataclass(slots=True)
class Route:
    """`running`: requests in flight. `asked` and `failed` count all requests since the start. The process supervisor
    handles failures of an embedded engine; failures of other servers open the circuit breaker.
    """

    deployment: Deployment
    backend: Backend
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    pace: FirstTokenLatency = field(default_factory=FirstTokenLatency)
    running: int = 0
    asked: int = 0
    failed: int = 0

    def verdict(self, request: ChatRequest) -> ParameterSupport:
        """An embedded engine honours everything that the model's card allows."""
        source = self.deployment.source
        return verdict(source.kind, request) if isinstance(source, UpstreamSource) else NOTHING

    def candidate(self, request: ChatRequest, now: float) -> Candidate:
        return Candidate(
            self.deployment,
            is_healthy=self.breaker.allows(now),
            running=self.running,
            first_token=self.pace.expected(now),
            differs=self.verdict(request).differs,
        )

    def use(self, now: float) -> "Use":
        """Records that a request is sent."""
        use = Use(self, self.breaker.begin(now), self.running)
        self.running += 1
        self.asked += 1
        return use


@dataclass(slots=True)
class Use:
    """One request of a route, sent while `behind` others were running. `end` has to be called, whatever the outcome."""

    route: Route
    trial: BreakerTrial
    behind: int
    has_begun: bool = False

    def begin(self, now: float) -> None:
        """The first token arrived."""
        self.has_begun = True
        self._waited(now)
        self.route.breaker.answer(self.trial)

    def succeed(self) -> None:
        self.route.breaker.succeed(self.trial)

    def fail(self, now: float) -> None:
        self.route.failed += 1
        if isinstance(self.route.deployment.source, UpstreamSource):
            self.route.breaker.fail(self.trial, now)

    def abandon(self, now: float) -> None:
        """The caller left, or a deadline passed. Without a token, the latency is at least the time that passed; after
        half of the deployment's time for a first token, the request counts as failed.
        """
        if self.has_begun:
            return
        waited = now - self.trial.began
        if waited > (self.route.pace.expected(now) or 0.0) * (1 + self.behind):
            self._waited(now)
        if 2 * waited > self.route.deployment.first_token_seconds:
            self.fail(now)

    def end(self) -> None:
        self.route.breaker.leave(self.trial)
        self.route.running -= 1

    def _waited(self, now: float) -> None:
        self.route.pace.measure(now - self.trial.began, self.behind, now)
