"""Decides which job runs next, which one gives way, and which one is refused: fair between accounts. No
clock, no I/O.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oruel.jobs.base import Kind

# A job that has used less CPU time than this doesn't give way.
SHORT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Job:
    """`number` increases with each arrival."""

    number: int
    kind: Kind
    account: str


class Schedule:
    """For each kind, at most `places` jobs run at once and at most `waiting` jobs wait."""

    def __init__(self, places: int, waiting: int) -> None:
        self._places = places
        self._room = waiting
        self._running: dict[int, Job] = {}
        self._waiting: dict[int, Job] = {}
        self._ending: set[int] = set()

    def arrive(self, job: Job) -> Job | None:
        """Returns the job to refuse because too many wait: the newest one of the account that has the most."""
        self._waiting[job.number] = job
        waiting = jobs_of_kind(self._waiting, job.kind)
        if len(waiting) <= self._room or self._has_place(job.kind):
            return None
        counts = Counter(one.account for one in waiting)
        refused = max(waiting, key=lambda one: (counts[one.account], one.number))
        del self._waiting[refused.number]
        return refused

    def leave(self, number: int) -> None:
        """The job has ended, or is no longer needed."""
        self._running.pop(number, None)
        self._waiting.pop(number, None)
        self._ending.discard(number)

    def start(self) -> Iterator[Job]:
        """Returns the jobs that start now: first those of the account with the fewest running jobs, then the oldest."""
        while ready := [job for job in self._waiting.values() if self._has_place(job.kind)]:
            running = Counter((job.kind, job.account) for job in self._running.values())
            job = min(ready, key=lambda job: (running[job.kind, job.account], job.number))
            self._running[job.number] = self._waiting.pop(job.number)
            yield job

    def giving_way(self, seconds: Mapping[int, float]) -> list[Job]:
        """The running jobs to end so that waiting ones can start: of the account with the most running jobs, the one
        that has used most of the CPU `seconds`.
        """
        kinds = Counter(job.kind for job in self._waiting.values())
        found = [job for kind, waiting in kinds.items() for job in self._longest(kind, waiting, seconds)]
        self._ending.update(job.number for job in found)
        return found

    def _longest(self, kind: Kind, waiting: int, seconds: Mapping[int, float]) -> Iterator[Job]:
        running = [job for job in jobs_of_kind(self._running, kind) if job.number not in self._ending]
        counts = Counter(job.account for job in running)
        long = [job for job in running if seconds.get(job.number, 0.0) > SHORT_SECONDS]
        free = self._places - len(running)
        for _ in range(min(waiting - free, len(long))):
            job = max(long, key=lambda job: (counts[job.account], seconds[job.number]))
            long.remove(job)
            counts[job.account] -= 1
            yield job

    def _has_place(self, kind: Kind) -> bool:
        return len(jobs_of_kind(self._running, kind)) < self._places


def jobs_of_kind(jobs: Mapping[int, Job], kind: Kind) -> list[Job]:
    return [job for job in jobs.values() if job.kind == kind]
