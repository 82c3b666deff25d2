"""A deployment with its backend and the statistics that the router keeps."""

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
    """`running` is the number of requests in flight; `asked` and `failed` count requests since the start. Only failures
    of other servers open the circuit breaker: an embedded engine is restarted by its supervisor.
    """

    deployment: Deployment
    backend: Backend
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    latency: FirstTokenLatency = field(default_factory=FirstTokenLatency)
    running: int = 0
    asked: int = 0
    failed: int = 0

    def verdict(self, request: ChatRequest) -> ParameterSupport:
        """Empty for an embedded engine, which honours everything that the model's card allows."""
        source = self.deployment.source
        return verdict(source.kind, request) if isinstance(source, UpstreamSource) else NOTHING

    def candidate(self, request: ChatRequest, now: float) -> Candidate:
        return Candidate(
            self.deployment,
            is_healthy=self.breaker.allows(now),
            running=self.running,
            first_token=self.latency.expected(now),
            differs=self.verdict(request).differs,
        )

    def use(self, now: float) -> "Use":
        """Records that a request starts."""
        use = Use(self, self.breaker.begin(now), self.running)
        self.running += 1
        self.asked += 1
        return use


@dataclass(slots=True)
class Use:
    """One request of a route, started while `behind` others were running. Call `end` after every outcome."""

    route: Route
    trial: BreakerTrial
    behind: int
    has_begun: bool = False

    def begin(self, now: float) -> None:
        """Records the first token."""
        self.has_begun = True
        self._measure(now)
        self.route.breaker.answer(self.trial)

    def succeed(self) -> None:
        self.route.breaker.succeed(self.trial)

    def fail(self, now: float) -> None:
        self.route.failed += 1
        if isinstance(self.route.deployment.source, UpstreamSource):
            self.route.breaker.fail(self.trial, now)

    def abandon(self, now: float) -> None:
        """Records that the caller disconnected or a deadline passed. Before the first token, the time waited is a lower
        bound of the latency, and the request counts as failed if it exceeds half of the first token timeout.
        """
        if self.has_begun:
            return
        waited = now - self.trial.began
        if waited > (self.route.latency.expected(now) or 0.0) * (1 + self.behind):
            self._measure(now)
        if 2 * waited > self.route.deployment.first_token_seconds:
            self.fail(now)

    def end(self) -> None:
        self.route.breaker.leave(self.trial)
        self.route.running -= 1

    def _measure(self, now: float) -> None:
        self.route.latency.measure(now - self.trial.began, self.behind, now)
