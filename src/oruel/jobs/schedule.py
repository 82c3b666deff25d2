"""Decides which jobs start, which are preempted and which are refused, fairly between accounts. No clock, no I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oruel.jobs.base import Kind

# Jobs that have used less CPU time are not preempted.
SHORT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Job:
    """`number` increases with each arrival."""

    number: int
    kind: Kind
    account: str


class Schedule:
    """For each kind, at most `slots` jobs run at once and at most `queue` jobs wait."""

    def __init__(self, slots: int, queue: int) -> None:
        self._slots = slots
        self._queue = queue
        self._running: dict[int, Job] = {}
        self._waiting: dict[int, Job] = {}
        self._preempted: set[int] = set()

    def add(self, job: Job) -> Job | None:
        """Queues the job. If the queue overflows, removes and returns a job: the newest of the account with the most
        waiting jobs.
        """
        self._waiting[job.number] = job
        waiting = jobs_of_kind(self._waiting, job.kind)
        if len(waiting) <= self._queue or self._has_free_slot(job.kind):
            return None
        counts = Counter(one.account for one in waiting)
        refused = max(waiting, key=lambda one: (counts[one.account], one.number))
        del self._waiting[refused.number]
        return refused

    def remove(self, number: int) -> None:
        """Removes a job that has ended or was cancelled."""
        self._running.pop(number, None)
        self._waiting.pop(number, None)
        self._preempted.discard(number)

    def start(self) -> Iterator[Job]:
        """Fills the free slots and yields the jobs that start. The account with the fewest running jobs comes first,
        with its oldest job.
        """
        while ready := [job for job in self._waiting.values() if self._has_free_slot(job.kind)]:
            running = Counter((job.kind, job.account) for job in self._running.values())
            job = min(ready, key=lambda job: (running[job.kind, job.account], job.number))
            self._running[job.number] = self._waiting.pop(job.number)
            yield job

    def preempt(self, cpu_seconds: Mapping[int, float]) -> list[Job]:
        """The running jobs to end so that waiting ones can start: of the account with the most running jobs, the one
        that has used the most CPU time. `cpu_seconds` maps job numbers to CPU time.
        """
        kinds = Counter(job.kind for job in self._waiting.values())
        found = [job for kind, waiting in kinds.items() for job in self._longest(kind, waiting, cpu_seconds)]
        self._preempted.update(job.number for job in found)
        return found

    def _longest(self, kind: Kind, waiting: int, cpu_seconds: Mapping[int, float]) -> Iterator[Job]:
        running = [job for job in jobs_of_kind(self._running, kind) if job.number not in self._preempted]
        counts = Counter(job.account for job in running)
        long = [job for job in running if cpu_seconds.get(job.number, 0.0) > SHORT_SECONDS]
        free = self._slots - len(running)
        for _ in range(min(waiting - free, len(long))):
            job = max(long, key=lambda job: (counts[job.account], cpu_seconds[job.number]))
            long.remove(job)
            counts[job.account] -= 1
            yield job

    def _has_free_slot(self, kind: Kind) -> bool:
        return len(jobs_of_kind(self._running, kind)) < self._slots


def jobs_of_kind(jobs: Mapping[int, Job], kind: Kind) -> list[Job]:
    return [job for job in jobs.values() if job.kind == kind]
