"""How soon a deployment gives its first token: a mean that forgets. Pure: whoever calls has the clock."""

from dataclasses import dataclass
from math import exp

HALF_LIFE_SECONDS = 60.0
LOG_2 = 0.6931471805599453


@dataclass(slots=True)
class Pace:
    """What was measured weighs half as much after HALF_LIFE_SECONDS. `expected` is None before the first."""

    expected: float | None = None
    weight: float = 0.0
    measured: float = 0.0

    def measure(self, seconds: float, now: float) -> None:
        left = self.weight * exp(-LOG_2 * max(0.0, now - self.measured) / HALF_LIFE_SECONDS)
        self.expected = ((self.expected or 0.0) * left + seconds) / (left + 1)
        self.weight, self.measured = min(left + 1, 20.0), now
