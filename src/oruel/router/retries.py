"""How many requests may be tried again elsewhere, so that a fleet in trouble isn't asked twice as much."""

from dataclasses import dataclass

SHARE = 0.2  # of the requests
MOST = 10.0


@dataclass(slots=True)
class RetryBudget:
    """Each request adds a fifth of a retry; ten are kept at most."""

    left: float = MOST

    def earn(self) -> None:
        self.left = min(MOST, self.left + SHARE)

    def spend(self) -> bool:
        """Whether there was one left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
