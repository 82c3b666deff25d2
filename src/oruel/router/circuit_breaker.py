"""When a deployment is left alone after failures, and when it is tried again. Pure: whoever calls has the clock."""

import math
from dataclasses import dataclass

TOLERATED = 3  # failures in a row
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class BreakerTrial:
    """One request on its way to the deployment; `began` is a time of whoever calls."""

    began: float


@dataclass(slots=True)
class CircuitBreaker:
    """Closed until TOLERATED failures in a row, then open for a pause that doubles with each failed probe. After the
    pause one request goes through as a probe: its first token lets others follow, its whole answer forgets what was.
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
        """A request is sent, which `allows` has permitted."""
        trial = BreakerTrial(now)
        if self.is_open:
            self.probe = trial
        return trial

    def answer(self, trial: BreakerTrial) -> None:
        """The first token came. One that fails behind it still counts, and sooner than the first time."""
        if trial is self.probe:
            self.is_open, self.probe = False, None

    def succeed(self, trial: BreakerTrial) -> None:
        self.answer(trial)
        if not self.is_open:
            self.failures = 0

    def fail(self, trial: BreakerTrial, now: float) -> None:
        """Requests that began before it opened tell of the same outage, which has been counted."""
        self.leave(trial)
        if trial.began <= self.opened:
            return
        self.failures += 1
        if self.failures >= TOLERATED:
            self.is_open, self.opened = True, now

    def leave(self, trial: BreakerTrial) -> None:
        """Nothing more will be known of this request: another may be the probe."""
        if trial is self.probe:
            self.probe = None
