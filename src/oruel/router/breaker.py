"""When a deployment is left alone after failures, and when it is tried again. Pure: whoever calls has the clock."""

from dataclasses import dataclass

TOLERATED = 3  # failures in a row
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


@dataclass(slots=True)
class Breaker:
    """Closed until TOLERATED failures in a row, then open for a pause that doubles with each failed probe. After the
    pause one request at a time goes through, as a probe.
    """

    failures: int = 0
    opened: float | None = None
    is_probing: bool = False

    def allows(self, now: float) -> bool:
        return self.opened is None or (not self.is_probing and now >= self.opened + self.pause)

    @property
    def pause(self) -> float:
        return min(PAUSE_SECONDS * 2.0 ** max(0, self.failures - TOLERATED), LONGEST_PAUSE_SECONDS)

    def begin(self) -> None:
        """A request is sent, which `allows` has permitted."""
        self.is_probing = self.opened is not None

    def succeed(self) -> None:
        self.failures, self.opened, self.is_probing = 0, None, False

    def fail(self, now: float) -> None:
        self.failures += 1
        self.is_probing = False
        if self.failures >= TOLERATED:
            self.opened = now

    def abandon(self) -> None:
        """The caller left before it was known how the request went."""
        self.is_probing = False
