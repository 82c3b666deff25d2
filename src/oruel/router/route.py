"""A deployment with its backend and the statistics that the router keeps."""

from dataclasses import dataclass, field

from oruel.backends.abilities import ParameterSupport, verdict
from oruel.backends.base import Backend
from oruel.errors import OruelError
from oruel.router.circuit_breaker import CircuitBreaker, InFlight
from oruel.router.deployment import Deployment, EmbeddedSource, UpstreamSource
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

    @property
    def problem(self) -> OruelError | None:
        """Why the deployment can't be used now; None if no reason is known."""
        return None

    def is_available(self, now: float) -> bool:
        return self.problem is None and self.breaker.allows(now)

    def verdict(self, request: ChatRequest) -> ParameterSupport:
        """Empty for an embedded engine, which honours everything that the model's card allows."""
        source = self.deployment.source
        return verdict(source.kind, request) if isinstance(source, UpstreamSource) else NOTHING

    def candidate(self, request: ChatRequest, now: float) -> Candidate:
        return Candidate(
            self.deployment,
            is_healthy=self.is_available(now),
            running=self.running,
            first_token=self.latency.expected(now),
            differs=self.verdict(request).differs,
        )

    def send(self, now: float) -> InFlight:
        """Records a request. `end` has to be called for it, whatever the outcome."""
        sent = self.breaker.begin(now)
        sent.load = self.running
        self.running += 1
        self.asked += 1
        return sent

    def begin(self, sent: InFlight, now: float) -> None:
        """The first token arrived."""
        sent.has_begun = True
        self._measure(sent, now)
        self.breaker.answer(sent)

    def fail(self, sent: InFlight, now: float) -> None:
        self.failed += 1
        if not isinstance(self.deployment.source, EmbeddedSource):
            self.breaker.fail(sent, now)

    def abandon(self, sent: InFlight, now: float) -> None:
        """The caller left, or a deadline passed. Without a token, the latency is at least the time that passed; after
        half of the deployment's time for a first token, the request counts as failed.
        """
        if sent.has_begun:
            return
        waited = now - sent.began
        if waited > (self.latency.expected(now) or 0.0) * (1 + sent.load):
            self._measure(sent, now)
        if 2 * waited > self.deployment.first_token_seconds:
            self.fail(sent, now)

    def end(self, sent: InFlight) -> None:
        self.breaker.leave(sent)
        self.running -= 1

    def _measure(self, sent: InFlight, now: float) -> None:
        self.latency.measure(now - sent.began, sent.load, now)
