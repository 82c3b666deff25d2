"""The retry budget: limits the share of retried requests, so that retries don't double the load of a failing fleet."""

from dataclasses import dataclass

RETRIES_PER_REQUEST = 0.2
MAX_RETRIES = 10.0


@dataclass(slots=True)
class RetryBudget:
    """Each request adds a fraction of a retry, up to a maximum."""

    left: float = MAX_RETRIES

    def earn(self) -> None:
        self.left = min(MAX_RETRIES, self.left + RETRIES_PER_REQUEST)

    def spend(self) -> bool:
        """Uses up one retry. Returns False if none is left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
