"""How much memory each process holds, over time, and whether it grows.

Growth is measured over the undisturbed half of the run, in which no engine is killed: the median of its last quarter
less the median of its first. It may be GROWTH_AN_HOUR times the time between the two quarters, and NOISE on top.
"""

from dataclasses import dataclass, field
from statistics import median

from tests.soak.processes import resident_bytes
from tests.soak.wrong import hold

MEBIBYTE = 2**20
GROWTH_AN_HOUR = 64 * MEBIBYTE
NOISE = 16 * MEBIBYTE
FEWEST_SAMPLES = 8


@dataclass(frozen=True)
class Sample:
    """`time` in seconds of time.monotonic."""

    time: float
    bytes: int


@dataclass
class Memory:
    """The samples of one process, oldest first."""

    process: int
    samples: list[Sample] = field(default_factory=list)

    def sample(self, now: float) -> None:
        size = resident_bytes(self.process)
        if size is not None:
            self.samples.append(Sample(now, size))

    @property
    def now(self) -> float:
        """In MiB."""
        return self.samples[-1].bytes / MEBIBYTE if self.samples else 0.0

    def check(self, name: str, since: float) -> None:
        """Raises Wrong where the process grew; too few samples after `since` show nothing."""
        samples = [sample for sample in self.samples if sample.time >= since]
        if len(samples) >= FEWEST_SAMPLES:
            growth, allowed = grown(samples), allowed_growth(samples)
            what = f"the {name} process grew by {growth / MEBIBYTE:.1f} MiB, where {allowed / MEBIBYTE:.1f} are allowed"
            hold(growth <= allowed, what)

    def summary(self) -> dict[str, float]:
        """In MiB."""
        sizes = [sample.bytes / MEBIBYTE for sample in self.samples] or [0.0]
        return {"start": round(sizes[0], 1), "end": round(sizes[-1], 1), "peak": round(max(sizes), 1)}


def grown(samples: list[Sample]) -> float:
    first, last = ends(samples)
    return median(sample.bytes for sample in last) - median(sample.bytes for sample in first)


def allowed_growth(samples: list[Sample]) -> float:
    first, last = ends(samples)
    hours = (median(sample.time for sample in last) - median(sample.time for sample in first)) / 3600
    return GROWTH_AN_HOUR * hours + NOISE


def ends(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The first and the last quarter."""
    quarter = len(samples) // 4
    return samples[:quarter], samples[-quarter:]
