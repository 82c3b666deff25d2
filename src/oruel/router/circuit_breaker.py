"""The circuit breaker of a deployment. Pure: callers pass the time."""

import math
from dataclasses import dataclass

TOLERATED = 3  # consecutive failures
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class BreakerTrial:
    """One request to the deployment, which began at the time `began`."""

    began: float


@dataclass(slots=True)
class CircuitBreaker:
    """Closed until TOLERATED consecutive failures, then open for a pause that doubles with each failed probe. After the
    pause, one request is the probe: its first token lets others follow, and its complete answer resets the breaker.
    """

    failures: int = 0
    is_open: bool = False
    opened: float = -math.inf
    probe: BreakerTrial | None = None

    def allows(self, now: float) -> bool:
        return not self.is_open or (self.probe is None and now >= self.opened + self.pause)

    @property
    def pause(self) -> float:
        return min(PAUSE_SECONDS * 2.0 ** max(0, self.failures - TOLERATED), LONGEST_PAUSE_SECONDS)

    def begin(self, now: float) -> BreakerTrial:
        """Records a request that `allows` permitted."""
        trial = BreakerTrial(now)
        if self.is_open:
            self.probe = trial
        return trial

    def answer(self, trial: BreakerTrial) -> None:
        """Records the first token, which closes the breaker if the request is the probe. The failures are not reset, so
        that a later failure of the request opens the breaker again at once.
        """
        if trial is self.probe:
            self.is_open, self.probe = False, None

    def succeed(self, trial: BreakerTrial) -> None:
        self.answer(trial)
        if not self.is_open:
            self.failures = 0

    def fail(self, trial: BreakerTrial, now: float) -> None:
        """Ignores requests that began before the breaker opened: they belong to the same outage."""
        self.leave(trial)
        if trial.began <= self.opened:
            return
        self.failures += 1
        if self.failures >= TOLERATED:
            self.is_open, self.opened = True, now

    def leave(self, trial: BreakerTrial) -> None:
        """Records a request without an outcome. If it was the probe, the next request becomes the probe."""
        if trial is self.probe:
            self.probe = None
