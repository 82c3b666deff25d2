"""Counts consecutive failures of the engine process and derives the pause before a restart. No clock, no I/O."""

from dataclasses import dataclass

MIN_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
# An engine that has answered for this long didn't fail at startup.
HEALTHY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CrashHistory:
    """`count`: the number of consecutive failures; `last`: how the last process ended, such as "signal 9"."""

    count: int = 0
    last: str = ""

    def after(self, ending: str, answered_seconds: float) -> "CrashHistory":
        """The history with one more failure, of a process that had answered for `answered_seconds`."""
        return CrashHistory(1 if answered_seconds >= HEALTHY_SECONDS else self.count + 1, ending)

    @property
    def pause(self) -> float:
        """Seconds: doubles with each crash, within bounds."""
        doublings = min(max(self.count - 1, 0), 16)
        return min(MIN_PAUSE_SECONDS * 2.0**doublings, MAX_PAUSE_SECONDS)

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count} times in a row"
        return f"The engine failed {times}, last with {self.last}"
