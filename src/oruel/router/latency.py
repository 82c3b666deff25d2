"""How soon a deployment gives its first token: a mean that forgets. Pure: whoever calls has the clock."""

from dataclasses import dataclass

HALF_LIFE_SECONDS = 60.0
MOST_WEIGHT = 20.0


@dataclass(slots=True)
class FirstTokenLatency:
    """Seconds of a request that is alone: what was measured behind others is divided among them."""

    mean: float | None = None
    weight: float = 0.0
    measured: float = 0.0

    def measure(self, seconds: float, running: int, now: float) -> None:
        """`running`: requests that were there before. What was measured earlier weighs half after HALF_LIFE_SECONDS."""
        left = self.weight * self._left(now)
        self.mean = ((self.mean or 0.0) * left + seconds / (1 + running)) / (left + 1)
        self.weight, self.measured = min(left + 1, MOST_WEIGHT), now

    def expected(self, now: float) -> float | None:
        """None before the first. One that isn't asked is thought ever quicker, so that a bad moment is not forever."""
        return None if self.mean is None else self.mean * self._left(now)

    def _left(self, now: float) -> float:
        return float(2.0 ** (-max(0.0, now - self.measured) / HALF_LIFE_SECONDS))
