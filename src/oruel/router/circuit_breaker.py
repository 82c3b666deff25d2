"""The circuit breaker of a deployment. Pure: callers pass the time."""

import math
from dataclasses import dataclass

TOLERATED = 3  # consecutive failures
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


@dataclass(slots=True, eq=False)
class InFlight:
    """One request sent to a deployment at `began`, the caller's time, while `load` others were running."""

    began: float
    load: int = 0
    has_begun: bool = False


@dataclass(slots=True)
class CircuitBreaker:
    """Closed until TOLERATED consecutive failures, then open for a pause that doubles with each failed probe. After the
    pause, one request is the probe: its first token lets others follow, and its complete answer resets the breaker.
    """

    failures: int = 0
    is_open: bool = False
    opened: float = -math.inf
    probe: InFlight | None = None

    def allows(self, now: float) -> bool:
        return not self.is_open or (self.probe is None and now >= self.opened + self.pause)

    @property
    def pause(self) -> float:
        return min(PAUSE_SECONDS * 2.0 ** max(0, self.failures - TOLERATED), LONGEST_PAUSE_SECONDS)

    def begin(self, now: float) -> InFlight:
        """Records a request that `allows` permitted."""
        sent = InFlight(now)
        if self.is_open:
            self.probe = sent
        return sent

    def answer(self, sent: InFlight) -> None:
        """The first token arrived. A later failure of the request still counts, and reopens sooner than the
        first time.
        """
        if sent is self.probe:
            self.is_open, self.probe = False, None

    def succeed(self, sent: InFlight) -> None:
        self.answer(sent)
        if not self.is_open:
            self.failures = 0

    def reset(self) -> None:
        """The deployment has shown in another way that it can answer."""
        self.failures, self.is_open, self.probe = 0, False, None

    def fail(self, sent: InFlight, now: float) -> None:
        """A request that began before the breaker opened reports the same outage, which has been counted."""
        self.leave(sent)
        if sent.began <= self.opened:
            return
        self.failures += 1
        if self.failures >= TOLERATED:
            self.is_open, self.opened = True, now

    def leave(self, sent: InFlight) -> None:
        """The outcome of this request stays unknown; another may be the probe."""
        if sent is self.probe:
            self.probe = None
