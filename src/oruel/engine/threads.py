"""Decides how many threads compute the next step. Pure: durations and times are arguments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# A window is evaluated when it contains this many steps and seconds, or a stalled step: one that took STALL_SECONDS
# longer than STALL_RATIO times the usual with fewer threads.
WINDOW_STEPS, WINDOW_SECONDS = 4, 0.02
STALL_SECONDS, STALL_RATIO = 0.05, 3.0
# A window is slow if it takes longer than this times the usual seconds with fewer threads.
TOLERANCE = 1.1
# More threads are tried only if this many cores are idle per added thread; the API process uses some, too.
IDLE_PER_THREAD = 0.3
# The pause in seconds before more threads are tried again. It doubles while such trials fail soon.
MIN_PAUSE, MAX_PAUSE = 1.0, 60.0
LASTING_SECONDS = 5.0
# A stalled step counts as at most this many times the usual seconds, and the average moves by a fraction of that.
MAX_RATIO, WEIGHT, WEIGHT_BELOW = 2.0, 1 / 16, 1 / 4

Shape = tuple[int, int]
"""The class of a step: steps of one class take about as long as each other."""


def shape_of(rows: int, cells: int) -> Shape:
    """The class of a batch of `rows` tokens whose positions add up to `cells`, both rounded to a power of two."""
    return rows.bit_length(), max(cells, 256).bit_length()


def thread_counts(cores: int) -> tuple[int, ...]:
    """The counts to try, ascending: powers of two, all cores, and all cores but one, which leaves one to another
    process.
    """
    powers = {2**power for power in range(cores.bit_length()) if 2**power <= cores}
    return tuple(sorted(powers | {max(1, cores - 1), cores}))


@dataclass
class StepWindow:
    """The steps since the last decision: their seconds, and the usual seconds of such steps with fewer threads."""

    steps: int = 0
    seconds: float = 0.0
    with_fewer: float = 0.0

    def add(self, seconds: float, with_fewer: float) -> None:
        self.steps += 1
        self.seconds += seconds
        self.with_fewer += with_fewer

    @property
    def is_full(self) -> bool:
        return self.seconds >= WINDOW_SECONDS and (self.steps >= WINDOW_STEPS or self.has_stalled)

    @property
    def has_stalled(self) -> bool:
        return self.seconds >= STALL_SECONDS + STALL_RATIO * self.with_fewer

    @property
    def is_slow(self) -> bool:
        return self.seconds > TOLERANCE * self.with_fewer


@dataclass
class UsualSeconds:
    """The usual seconds of a step, by shape and number of threads. Stalls hardly move them."""

    _seconds: dict[tuple[int, Shape], float] = field(default_factory=dict)

    def record(self, threads: int, shape: Shape, seconds: float) -> None:
        """Adjusts the usual seconds by a step with `threads` threads that took `seconds`."""
        usual = self._seconds.get((threads, shape), seconds)
        excess = min(seconds, MAX_RATIO * usual) - usual
        self._seconds[threads, shape] = usual + excess * (WEIGHT if excess > 0 else WEIGHT_BELOW)

    def get(self, threads: int, shape: Shape) -> float | None:
        return self._seconds.get((threads, shape))

    def with_fewer(self, fewer: int, threads: int, shape: Shape) -> float:
        """The usual seconds with `fewer` threads: as measured; else by the ratio at another context length; else the
        worst case, in which each thread does all of its work alone.
        """
        if known := self.get(fewer, shape):
            return known
        others = (other for count, other in self._seconds if count == fewer and other[0] == shape[0])
        ratios = [self._seconds[fewer, other] / usual for other in others if (usual := self.get(threads, other))]
        return (self.get(threads, shape) or 0.0) * (ratios[-1] if ratios else threads / fewer)


class ThreadController:
    """Uses fewer threads when steps take longer than they would with fewer. That happens when another process computes
    on the same cores: the threads of a step wait for each other, so one that isn't running stops them all. Tries more
    threads again after a pause, if cores are idle.

    `counts` ascend. Times are in seconds of any clock that doesn't run backwards. `idle_cores()` returns the average
    number of idle cores since its last call, None if unknown.
    """

    def __init__(self, counts: Sequence[int], idle_cores: Callable[[], float | None] = lambda: None) -> None:
        assert counts, "at least one count"
        self._counts = tuple(counts)
        self._idle_cores = idle_cores
        self._index = len(self._counts) - 1
        self._usual = UsualSeconds()
        self._window = StepWindow()
        self._pause = MIN_PAUSE
        self._since = 0.0
        self._next_trial = self._pause

    @property
    def threads(self) -> int:
        return self._counts[self._index]

    def choose(self, shape: Shape) -> None:
        """Starts with the fastest count for steps of this shape; with the fewest threads among equals."""
        measured = [(usual, place) for place, n in enumerate(self._counts) if (usual := self._usual.get(n, shape))]
        fastest = min(measured, default=(0.0, self._index))[0]
        self._index = next((place for usual, place in measured if usual <= fastest * 1.05), self._index)

    def record_measurement(self, threads: int, shape: Shape, seconds: float) -> None:
        """Records a step that was computed only to measure it."""
        self._usual.record(threads, shape, seconds)

    def record(self, shape: Shape, seconds: float, now: float) -> None:
        """Records a step with `threads` threads that took `seconds` and ended at `now`."""
        self._usual.record(self.threads, shape, seconds)
        if self._index > 0:
            fewer = self._counts[self._index - 1]
            self._window.add(seconds, self._usual.with_fewer(fewer, self.threads, shape))
        if self._window.is_full:
            if self._window.is_slow:
                self._pause = self._pause_after(now - self._since)
                self._move(self._index - 1, now)
            self._window = StepWindow()
        if self._index < len(self._counts) - 1 and now >= self._next_trial:
            self._try_more(now)

    def _try_more(self, now: float) -> None:
        idle, added = self._idle_cores(), self._counts[self._index + 1] - self.threads
        if idle is None or idle >= IDLE_PER_THREAD * added:
            self._move(self._index + 1, now)
        else:
            self._next_trial = now + MIN_PAUSE

    def _pause_after(self, lasted: float) -> float:
        return MIN_PAUSE if lasted >= LASTING_SECONDS else min(2 * self._pause, MAX_PAUSE)

    def _move(self, place: int, now: float) -> None:
        self._index, self._since, self._window = place, now, StepWindow()
        self._next_trial = now + self._pause
