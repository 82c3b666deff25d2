"""The retry budget: how many requests may be retried elsewhere, so that a fleet in trouble doesn't get twice
the load.
"""

from dataclasses import dataclass

RETRIES_PER_REQUEST = 0.2  # a share of the requests
MAX_RETRIES = 10.0


@dataclass(slots=True)
class RetryBudget:
    """Each request adds a fifth of a retry; at most ten are kept."""

    left: float = MAX_RETRIES

    def earn(self) -> None:
        self.left = min(MAX_RETRIES, self.left + RETRIES_PER_REQUEST)

    def spend(self) -> bool:
        """Returns whether a retry was left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
