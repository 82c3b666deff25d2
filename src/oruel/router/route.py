"""A deployment that is in use: its backend, and what the router has seen of it."""

from dataclasses import dataclass, field

from oruel.backends.abilities import Verdict, verdict
from oruel.backends.base import Backend
from oruel.router.breaker import Breaker
from oruel.router.deployment import Deployment, Upstream
from oruel.router.pace import Pace
from oruel.router.ranking import Candidate
from oruel.types import ChatRequest

NOTHING = Verdict()


@dataclass(slots=True)
class Route:
    """`running`: requests that it has and that haven't ended. Failures of an engine of our own are left to whoever
    watches its process; those of other servers open the breaker.
    """

    deployment: Deployment
    backend: Backend
    breaker: Breaker = field(default_factory=Breaker)
    pace: Pace = field(default_factory=Pace)
    running: int = 0

    def verdict(self, request: ChatRequest) -> Verdict:
        """An engine of our own honours all that its model's card has let through."""
        source = self.deployment.source
        return verdict(source.kind, request) if isinstance(source, Upstream) else NOTHING

    def failed(self, now: float) -> None:
        if isinstance(self.deployment.source, Upstream):
            self.breaker.fail(now)

    def candidate(self, request: ChatRequest, now: float) -> Candidate:
        return Candidate(
            self.deployment,
            is_healthy=self.breaker.allows(now),
            running=self.running,
            first_token=self.pace.expected,
            differs=self.verdict(request).differs,
        )
