"""How many of this process's cores are idle, according to Linux. Unknown on other systems."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
MIN_SECONDS = 0.5


@dataclass(frozen=True)
class Ticks:
    """Of all cores that this process may use, since the system started."""

    idle: int
    all: int

    def __sub__(self, earlier: "Ticks") -> "Ticks":
        return Ticks(self.idle - earlier.idle, self.all - earlier.all)


class IdleCores:
    """Measures the time between calls."""

    def __init__(self) -> None:
        self._since, self._ticks = time.monotonic(), read_ticks()

    def __call__(self) -> float | None:
        """The average number of idle cores since the last call that returned a number. None if the system doesn't say,
        or if less than MIN_SECONDS have passed.
        """
        now, ticks = time.monotonic(), read_ticks()
        if now - self._since < MIN_SECONDS or not ticks or not self._ticks:
            return None
        passed = ticks - self._ticks
        self._since, self._ticks = now, ticks
        # Some sandboxes count no ticks at all.
        return len(os.sched_getaffinity(0)) * passed.idle / passed.all if passed.all > 0 else None


def read_ticks() -> Ticks | None:
    try:
        lines = STAT.read_text().splitlines()
    except OSError:
        return None
    names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    cores = [list(map(int, ticks)) for name, *ticks in map(str.split, lines) if name in names]
    # Columns: user, nice, system, idle, iowait, irq, softirq, steal. Guest time is part of user.
    return Ticks(sum(sum(ticks[3:5]) for ticks in cores), sum(sum(ticks[:8]) for ticks in cores))
