"""The retry budget: how many requests may be retried elsewhere, so that a fleet in trouble doesn't get twice
the load.
"""

from dataclasses import dataclass

SHARE = 0.2  # a share of the requests
MOST = 10.0


@dataclass(slots=True)
class RetryBudget:
    """Each request adds a fifth of a retry; at most ten are kept."""

    left: float = MOST

    def earn(self) -> None:
        self.left = min(MOST, self.left + SHARE)

    def spend(self) -> bool:
        """Returns whether a retry was left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
