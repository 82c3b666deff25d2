"""Samples the memory of each process and checks its growth.

Growth is measured over the undisturbed second half of the run, as the difference between the medians of its last and
its first quarter. The limit is GROWTH_AN_HOUR times the time between these quarters, plus NOISE.
"""

from dataclasses import dataclass, field
from statistics import median

from tests.soak.processes import resident_bytes
from tests.soak.wrong import require

MEBIBYTE = 2**20
GROWTH_AN_HOUR = 64 * MEBIBYTE
NOISE = 16 * MEBIBYTE
MIN_SAMPLES = 8


@dataclass(frozen=True)
class Sample:
    """`time` is that of time.monotonic, in seconds."""

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
        """Raises CheckFailed if the process grew beyond the limit. Too few samples after `since` pass the check."""
        samples = [sample for sample in self.samples if sample.time >= since]
        if len(samples) >= MIN_SAMPLES:
            growth, allowed = memory_growth(samples), allowed_growth(samples)
            what = f"the {name} process grew by {growth / MEBIBYTE:.1f} MiB; the limit is {allowed / MEBIBYTE:.1f} MiB"
            require(growth <= allowed, what)

    def summary(self) -> dict[str, float]:
        """In MiB."""
        sizes = [sample.bytes / MEBIBYTE for sample in self.samples] or [0.0]
        return {"start": round(sizes[0], 1), "end": round(sizes[-1], 1), "peak": round(max(sizes), 1)}


def memory_growth(samples: list[Sample]) -> float:
    first, last = first_and_last_quarter(samples)
    return median(sample.bytes for sample in last) - median(sample.bytes for sample in first)


def allowed_growth(samples: list[Sample]) -> float:
    first, last = first_and_last_quarter(samples)
    hours = (median(sample.time for sample in last) - median(sample.time for sample in first)) / 3600
    return GROWTH_AN_HOUR * hours + NOISE


def first_and_last_quarter(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The first and the last quarter."""
    quarter = len(samples) // 4
    return samples[:quarter], samples[-quarter:]
