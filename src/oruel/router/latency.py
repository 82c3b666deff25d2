"""The expected time to first token of a deployment: an average that decays. Pure: callers pass the time."""

from dataclasses import dataclass

HALF_LIFE_SECONDS = 60.0
MOST_WEIGHT = 20.0


@dataclass(slots=True)
class FirstTokenLatency:
    """In seconds, for a lone request: times measured under load are divided by the number of requests."""

    mean: float | None = None
    weight: float = 0.0
    measured: float = 0.0

    def measure(self, seconds: float, running: int, now: float) -> None:
        """`running`: the requests that were there before. Earlier measurements count half after HALF_LIFE_SECONDS."""
        left = self.weight * self._left(now)
        self.mean = ((self.mean or 0.0) * left + seconds / (1 + running)) / (left + 1)
        self.weight, self.measured = min(left + 1, MOST_WEIGHT), now

    def expected(self, now: float) -> float | None:
        """None before the first measurement. Decays while idle, so that a slow spell doesn't exclude a deployment for
        ever.
        """
        return None if self.mean is None else self.mean * self._left(now)

    def _left(self, now: float) -> float:
        return float(2.0 ** (-max(0.0, now - self.measured) / HALF_LIFE_SECONDS))
