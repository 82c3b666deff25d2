"""The expected time to first token of a deployment, as a decaying average. Pure: callers pass the time."""

from dataclasses import dataclass

HALF_LIFE_SECONDS = 60.0
MOST_WEIGHT = 20.0


@dataclass(slots=True)
class FirstTokenLatency:
    """In seconds, for a single request: times measured under load are divided by the number of requests."""

    mean: float | None = None
    weight: float = 0.0
    measured: float = 0.0

    def measure(self, seconds: float, running: int, now: float) -> None:
        """`running`: earlier requests in flight. The weight of older measurements halves every HALF_LIFE_SECONDS."""
        left = self.weight * self._decay(now)
        self.mean = ((self.mean or 0.0) * left + seconds / (1 + running)) / (left + 1)
        self.weight, self.measured = min(left + 1, MOST_WEIGHT), now

    def expected(self, now: float) -> float | None:
        """None before the first measurement. Decays while idle, so that a slow spell doesn't exclude a deployment
        forever.
        """
        return None if self.mean is None else self.mean * self._decay(now)

    def _decay(self, now: float) -> float:
        return float(2.0 ** (-max(0.0, now - self.measured) / HALF_LIFE_SECONDS))
